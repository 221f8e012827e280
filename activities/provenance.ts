import type { Digest } from '../domain/digest.js';
import type { Placement } from '../domain/durable/placement.js';
import { digestSet } from '../domain/evidence/statement.js';
import { formatPinned, formatRepository } from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import type { Dependencies } from './dependencies.js';
import { readManifest } from './manifests.js';

/** Artifact type and layer type of an unsigned statement (conventions C19), and how it is found. */
export const IN_TOTO = 'application/vnd.in-toto+json';
export const PREDICATE_TYPE_KEY = 'in-toto.io/predicate-type';

/** A provenance document may be this large, in bytes. */
const LARGEST_STATEMENT = 16 * 1024 * 1024;

/**
 * Takes what BuildKit said of a build along to the same image under its new stamp. An index has none of its own: its
 * platforms' manifests, which a stamp does not touch, carry theirs.
 */
export async function carryProvenance(
  deps: Dependencies,
  { destination, current }: Placement,
  to: Digest,
  signal: AbortSignal,
): Promise<void> {
  if (current === null || current === to) return;
  const said = await deps.reader.listReferrers(destination, current, {}, signal);
  const statements = said.filter(
    (referrer) => referrer.artifactType === IN_TOTO && PREDICATE_TYPE_KEY in referrer.annotations,
  );
  if (statements.length === 0) return;
  const there = await deps.reader.listReferrers(destination, to, {}, signal);
  for (const { digest, artifactType, annotations } of statements) {
    const predicateType = annotations[PREDICATE_TYPE_KEY];
    if (there.some((one) => one.artifactType === IN_TOTO && one.annotations[PREDICATE_TYPE_KEY] === predicateType)) {
      continue;
    }
    const { manifest } = await readManifest(deps.reader, destination, digest, signal);
    const layer = manifest.kind === 'image' ? manifest.layers[0] : undefined;
    if (layer === undefined) throw unreadable(formatPinned(destination, digest));
    const document = await deps.reader.getBlob(destination, layer.digest, LARGEST_STATEMENT, signal);
    const bytes = withSubject(document, formatRepository(destination), to, formatPinned(destination, digest));
    const artifact = { artifactType, annotations, file: { bytes, mediaType: layer.mediaType } };
    await deps.regctl.putArtifact(destination, to, artifact, signal);
  }
}

/** A statement about this manifest, whatever it named before. @param where it was read, for the message */
export function withSubject(document: Uint8Array, name: string, digest: Digest, where: string): Uint8Array {
  let statement: unknown;
  try {
    statement = JSON.parse(new TextDecoder().decode(document));
  } catch (cause) {
    throw unreadable(where, cause);
  }
  if (typeof statement !== 'object' || statement === null) throw unreadable(where);
  const subject = [{ name, digest: digestSet(digest) }];
  return new TextEncoder().encode(JSON.stringify({ ...statement, subject }));
}

function unreadable(where: string, cause?: unknown): HoubaError {
  return new HoubaError('Unsupported', `${where} holds no statement`, { cause });
}
