import { z } from 'zod';
import { type Digest, isDigest } from './digest.js';
import { HoubaError } from './errors.js';
import { asObject, jsonOrNull } from './text/json.js';
import { foldName, repeatedName } from './text/json-names.js';
import { optional } from './text/optional.js';

/** A manifest of a tag or digest: an index of children, or one image (or artifact). */
export type ParsedManifest = ParsedIndex | ParsedImage;

export interface ParsedIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Descriptor | null;
}

export interface ParsedImage {
  readonly kind: 'image';
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly subject: Descriptor | null;
}

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly artifactType?: string | undefined;
  /** Other addresses of the content, as the manifest's author gives them. */
  readonly urls?: readonly string[] | undefined;
}

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Limits of what is read (docs/rules/registry-access.md#everything-read-is-bounded). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Children of an index, or layers of an image. */
const MAX_DESCRIPTORS = 1000;

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
export const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json';

const INDEX_TYPES: ReadonlySet<string> = new Set([
  OCI_INDEX,
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);

const IMAGE_TYPES: ReadonlySet<string> = new Set([OCI_IMAGE, 'application/vnd.docker.distribution.manifest.v2+json']);

export function isIndexType(mediaType: string): boolean {
  return INDEX_TYPES.has(mediaType);
}

export const MANIFEST_MEDIA_TYPES: readonly string[] = [...INDEX_TYPES, ...IMAGE_TYPES];

/**
 * Parses an OCI or Docker schema 2 manifest or index. Only fields that houba uses are checked.
 * @param contentType the `Content-Type` it was served with, or the type its descriptor gives
 * @throws HoubaError `Unsupported`, also for ambiguous documents (docs/rules/registry-access.md#no-double-meaning)
 */
export function parseManifest(bytes: Uint8Array, contentType: string): ParsedManifest {
  if (bytes.length > MAX_MANIFEST_BYTES) throw unsupported(`it is larger than ${MAX_MANIFEST_BYTES} bytes`);
  const document = readObject(bytes);
  const mediaType = bareMediaType(contentType);
  refuseDoubleMeaning(document, mediaType);
  if (INDEX_TYPES.has(mediaType)) {
    const { manifests, annotations, subject, artifactType } = check(Index, document);
    return { kind: 'index', mediaType, artifactType: artifactType ?? null, manifests, annotations, subject };
  }
  if (IMAGE_TYPES.has(mediaType)) {
    const { config, layers, annotations, subject, artifactType } = check(Image, document);
    return { kind: 'image', mediaType, artifactType: artifactType ?? null, config, layers, annotations, subject };
  }
  throw unsupported(`its type is ${JSON.stringify(mediaType.slice(0, 200))}`, 'houba reads OCI and Docker schema 2');
}

/**
 * Refuses foreign layers. @param platform of an image, for the message
 * @throws HoubaError `Unsupported` (docs/rules/registry-access.md#foreign-layers-are-refused)
 */
export function refuseForeignLayers(name: string, layers: readonly Descriptor[], platform?: string): void {
  const foreign = layers.find((layer) => (layer.urls ?? []).length > 0);
  if (foreign === undefined) return;
  const which = platform === undefined ? name : `${name} (${platform})`;
  throw new HoubaError('Unsupported', `${which} has a layer that is to be fetched from elsewhere, ${foreign.digest}`, {
    hint: 'push the image again with all of its layers; of an index, `platforms` takes the others',
  });
}

/** Types that do not say what a document is: its own field does (docs/rules/registry-access.md#no-double-meaning). */
const NAMELESS: ReadonlySet<string> = new Set([
  ...['', 'text/plain', 'text/json', 'application/json', 'application/octet-stream', 'binary/octet-stream'],
]);

/** Whether a `Content-Type` leaves it to the document to say what it is. */
export function isNameless(contentType: string): boolean {
  return NAMELESS.has(bareMediaType(contentType));
}

/** The media type of a document: as it was served, or, where that says nothing, its own; empty: it has none. */
export function mediaTypeOf(bytes: Uint8Array, contentType: string): string {
  if (!isNameless(contentType)) return bareMediaType(contentType);
  const { mediaType, manifests, config } = asObject(jsonOrNull(bytes));
  if (typeof mediaType === 'string' && mediaType !== '') return mediaType;
  if (typeof config === 'object' && config !== null) return OCI_IMAGE;
  // Go writes an empty list as null.
  return Array.isArray(manifests) || manifests === null ? OCI_INDEX : '';
}

/** Strips the parameters of a `Content-Type`; lower case. */
export function bareMediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** Field names that houba uses. Go programs match them in any case, so another spelling is refused. */
const MEANINGFUL = [
  ...['schemaVersion', 'mediaType', 'manifests', 'config', 'layers', 'subject', 'artifactType', 'annotations'],
  ...['digest', 'size', 'urls', 'data', 'platform', 'os', 'architecture', 'variant'],
];
const EXACT_NAME: ReadonlyMap<string, string> = new Map(MEANINGFUL.map((name) => [name.toLowerCase(), name]));

/** Fields below which such names are looked for. */
const INNER = ['manifests', 'layers', 'config', 'subject', 'platform'];

function refuseOtherSpellings(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  for (const key of Object.keys(part)) {
    const name = EXACT_NAME.get(foldName(key));
    if (name !== undefined && name !== key) {
      throw unsupported(`it writes ${name} as ${JSON.stringify(key)}, which programs read differently`);
    }
  }
  for (const [key, inner] of Object.entries(part)) {
    if (INNER.includes(key)) for (const one of Array.isArray(inner) ? inner : [inner]) refuseOtherSpellings(one);
  }
}

function refuseDoubleMeaning(document: Record<string, unknown>, mediaType: string): void {
  refuseOtherSpellings(document);
  if (document.schemaVersion === 1 || document.fsLayers != null) {
    throw unsupported('it is a Docker schema 1 manifest', 'push the image again with a current client');
  }
  if (document.schemaVersion !== 2) throw unsupported('its schemaVersion is not 2');
  if (document.manifests != null && (document.layers != null || document.config != null)) {
    throw unsupported('it is an index and an image at once');
  }
  // Go writes a field that is left out as empty text, too.
  if (document.mediaType != null && document.mediaType !== '' && document.mediaType !== mediaType) {
    const said = JSON.stringify(String(document.mediaType).slice(0, 200));
    throw unsupported(`it calls itself ${said} but was served as ${JSON.stringify(mediaType.slice(0, 200))}`);
  }
}

// Not `z.record`, which copies and loses `__proto__`, a key like any other (docs/rules/policy.md#yaml-is-data).
const StringMap = z
  .custom<Readonly<Record<string, string | null>>>(isStringMap, 'not a map of strings')
  .transform(withoutNulls);
const Annotations = StringMap.nullish().transform((map) => map ?? {});
const MediaType = z.string().min(1).max(255);
const Text = z.string().max(255);

const Unsaid = Text.nullish().transform((text) => text ?? '');

const PlatformShape = z.object({
  os: Unsaid,
  architecture: Unsaid,
  variant: optional(Text),
});

const DescriptorShape = z.object({
  mediaType: MediaType,
  digest: z.custom<Digest>((text) => typeof text === 'string' && isDigest(text), 'not a digest'),
  size: z.int().min(0),
  platform: optional(PlatformShape),
  annotations: optional(StringMap),
  artifactType: optional(Text),
  urls: optional(z.array(z.string()).max(MAX_DESCRIPTORS)),
}) satisfies z.ZodType<Descriptor>;

const Descriptors = z.array(DescriptorShape).max(MAX_DESCRIPTORS);
const Subject = DescriptorShape.nullish().transform((subject) => subject ?? null);

const Index = z.object({
  // Go writes an empty list as null.
  manifests: Descriptors.nullable().transform((list) => list ?? []),
  artifactType: optional(Text),
  annotations: Annotations,
  subject: Subject,
});

const Image = z.object({
  config: DescriptorShape,
  layers: Descriptors.nullable().transform((list) => list ?? []),
  artifactType: optional(Text),
  annotations: Annotations,
  subject: Subject,
});

function check<Shape extends z.ZodType>(shape: Shape, document: unknown): z.infer<Shape> {
  const result = shape.safeParse(document);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw unsupported(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
}

function readObject(bytes: Uint8Array): Record<string, unknown> {
  let json: string;
  let document: unknown;
  try {
    json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    document = JSON.parse(json);
  } catch {
    throw unsupported('it is not JSON');
  }
  const repeated = repeatedName(json);
  if (repeated !== null) {
    throw unsupported(`it has ${JSON.stringify(repeated.slice(0, 200))} twice, which programs read differently`);
  }
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
    return document as Record<string, unknown>;
  }
  throw unsupported('it is not a JSON object');
}

function isStringMap(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((text) => typeof text === 'string' || text === null);
}

function withoutNulls(map: Readonly<Record<string, string | null>>): Readonly<Record<string, string>> {
  const entries = Object.entries(map).filter((entry): entry is [string, string] => entry[1] !== null);
  return Object.fromEntries(entries);
}

function unsupported(why: string, hint?: string): HoubaError {
  return new HoubaError('Unsupported', `unusable manifest: ${why}`, hint === undefined ? {} : { hint });
}
