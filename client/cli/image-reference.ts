import { HoubaError } from '../../domain/errors.js';
import { parseReference, type Reference } from '../../domain/reference.js';

/** Parses an image with its tag or digest. @throws HoubaError `ConfigInvalid` (exit 3): exit 1 says that an image failed */
export function readImageReference(ref: string): Reference {
  let reference: Reference;
  try {
    reference = parseReference(ref);
  } catch (error) {
    if (!(error instanceof HoubaError)) throw error;
    throw new HoubaError('ConfigInvalid', error.message, { cause: error });
  }
  if (reference.tag !== null || reference.digest !== null) return reference;
  throw new HoubaError('ConfigInvalid', `${JSON.stringify(ref)} names neither a tag nor a digest`, {
    hint: 'add :<tag> or @sha256:<digest>',
  });
}

/** Refuses an entry of another host. @param host the roster entry's; null: no entry is named, or none has that name, which another check reports */
export function requireSameHost(reference: Reference, host: string | null, registry: string | null): void {
  if (host === null || host === reference.host) return;
  throw new HoubaError('ConfigInvalid', `--registry ${registry} is ${host}, but the image is at ${reference.host}`, {
    hint: 'leave --registry out: the entry with the host of the image is used by itself',
  });
}
