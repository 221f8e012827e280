import { setTimeout as sleep } from 'node:timers/promises';
import { type Digest, digestOf, NOWHERE } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { MANIFEST_MEDIA_TYPES, MAX_MANIFEST_BYTES, OCI_INDEX } from '../../domain/manifest.js';
import { type Repository, referrersTag } from '../../domain/reference.js';
import { createRegistryReader, indexIn } from '../registry.js';
import { createRegistryClient, type RegistryClientOptions } from './client.js';
import { errorCodeIn, saysUnknown } from './failure.js';

/** What a registry does in a way of its own (docs/registries.md), as far as reading shows it. */
export interface RegistryTraits {
  /**
   * `refused`: it deletes nothing. `untrue`: it accepts to delete what it does not have. `denied`: the credentials may
   * not delete. `likely`: nothing speaks against it. `works`: it was tried.
   */
  readonly deletion: 'works' | 'likely' | 'refused' | 'untrue' | 'denied';
  /** Where evidence is listed: by the referrers API, or by its tag. null: it says nothing without an image. */
  readonly referrers: 'api' | 'tag' | null;
  /** Whether the tag of an image's list of referrers shows the image itself. null: there is no image to ask about. */
  readonly showsSubject: boolean | null;
}

const REFUSED: readonly number[] = [400, 405, 415, 501];

/** Writes a small artifact to find out, and deletes it. */
export interface Trial {
  write(repository: Repository, signal: AbortSignal): Promise<Digest>;
  /** `unsupported`: the registry deletes nothing. */
  remove(repository: Repository, digest: Digest, signal: AbortSignal): Promise<'deleted' | 'absent' | 'unsupported'>;
}

/** For how long a registry may show what it deleted. */
const SHOWN_AFTER_MS = 5_000;

/**
 * Asks a registry for its traits. @param repository may be empty, or not there. @param trial null: nothing is changed, for
 * what is asked to be deleted is nowhere. @throws HoubaError as `RegistryReader` and the trial
 */
export async function readTraits(
  options: RegistryClientOptions,
  repository: Repository,
  trial: Trial | null,
  signal: AbortSignal,
): Promise<RegistryTraits> {
  const { host, path } = repository;
  const client = createRegistryClient(options);
  const reader = createRegistryReader(options);
  const ask = (method: 'GET' | 'DELETE', what: string, absent: readonly number[], accept: string) => {
    const scope = `repository:${path}:${method === 'DELETE' ? 'delete' : 'pull'}`;
    const wanted = { method, path: `/v2/${path}/${what}`, scope, accept, maxBytes: MAX_MANIFEST_BYTES };
    return client.call(host, { ...wanted, absent }, signal);
  };

  async function deletion(): Promise<RegistryTraits['deletion']> {
    try {
      const answer = await ask('DELETE', `manifests/${NOWHERE}`, [404, ...REFUSED], 'application/json');
      if (answer.status < 300) return 'untrue';
      return REFUSED.includes(answer.status) || errorCodeIn(answer.body) === 'UNSUPPORTED' ? 'refused' : 'likely';
    } catch (error) {
      if (error instanceof HoubaError && ['Unauthorized', 'Denied'].includes(error.code)) return 'denied';
      throw error;
    }
  }

  /** An image of the repository; null: it has none. */
  async function anImage() {
    const [tag] = (await reader.listTagsToWrite(repository, signal)) ?? [];
    return tag === undefined ? null : ((await reader.headManifest(repository, tag, signal))?.digest ?? null);
  }

  async function deletionOf({ remove }: Trial, digest: Digest): Promise<RegistryTraits['deletion']> {
    const found = await deletion();
    if (found === 'refused' || found === 'denied') return found;
    if ((await remove(repository, digest, signal)) === 'unsupported') return 'refused';
    for (let waited = 0; waited <= SHOWN_AFTER_MS; waited += 500) {
      if ((await reader.headManifest(repository, digest, signal)) === null) return 'works';
      await sleep(500, undefined, { signal });
    }
    return 'untrue';
  }

  /** A list that is there already is shown as an image would be: it is asked about in its turn, and no further. */
  async function showsAnyByList(digest: Digest, lists = 1): Promise<boolean> {
    const { status, body } = await ask(
      'GET',
      `manifests/${referrersTag(digest)}`,
      [404],
      MANIFEST_MEDIA_TYPES.join(', '),
    );
    if (status >= 300) return false;
    const shown = digestOf(body);
    return shown === digest || (lists > 0 && (await showsAnyByList(shown, lists - 1)));
  }

  let written: Digest | null = null;
  try {
    written = trial === null ? null : await trial.write(repository, signal);
    const digest = written ?? (await anImage());
    const answer = await ask('GET', `referrers/${digest ?? NOWHERE}`, [...REFUSED, 404, 406], OCI_INDEX);
    const isList = answer.status < 300 && indexIn(answer, `the answer of ${host}`) !== null;
    const referrers = isList ? 'api' : saysUnknown(answer.body) ? null : 'tag';
    const showsSubject = digest === null ? null : await showsAnyByList(digest);
    const deletes = trial === null || written === null ? deletion() : deletionOf(trial, written);
    return { deletion: await deletes, referrers, showsSubject };
  } catch (error) {
    // Nothing stays behind of a trial that fails; the first error is told.
    if (trial !== null && written !== null) await trial.remove(repository, written, signal).catch(() => {});
    throw error;
  } finally {
    client.close();
    await reader.close();
  }
}
