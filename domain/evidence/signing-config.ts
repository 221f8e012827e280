import { HoubaError } from '../errors.js';

/** Settings of signatures (`HOUBA_ATTEST_*`); texts may be empty. */
export interface SigningSettings {
  readonly signer: '' | 'keyless' | 'kms' | 'key';
  readonly fulcioUrl: string;
  readonly rekorUrl: string;
  readonly tsaUrl: string;
  readonly trustedRoot: string;
  readonly builderId: string;
}

/** The services that cosign asks for a signature, and the answers it believes. */
export interface SigningPlan {
  /** A signing configuration of cosign v3. */
  readonly config: Readonly<Record<string, unknown>>;
  /** `public`: that of the public Sigstore; `none`: only the key decides, and nothing is fetched. */
  readonly trustedRoot: 'public' | 'none' | { readonly path: string };
}

export const EMPTY_TRUSTED_ROOT = { mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1' };

const PUBLIC_FULCIO = 'https://fulcio.sigstore.dev';
const PUBLIC_REKOR = 'https://rekor.sigstore.dev';

/**
 * Chooses the services of a signature (docs/rules/evidence.md#services-are-named-or-public).
 * @throws HoubaError `ConfigInvalid` when the settings give no signature that anybody could verify
 */
export function planSigning(settings: SigningSettings): SigningPlan {
  const { signer, tsaUrl } = settings;
  if (signer === '') throw new HoubaError('ConfigInvalid', 'nothing can be signed: HOUBA_ATTEST_SIGNER is empty');
  const keyless = signer === 'keyless';
  const fulcioUrl = settings.fulcioUrl || (keyless ? PUBLIC_FULCIO : '');
  const nothingGiven = settings.fulcioUrl === '' && settings.rekorUrl === '' && tsaUrl === '';
  const rekorUrl = keyless && nothingGiven ? PUBLIC_REKOR : settings.rekorUrl;
  if (keyless && rekorUrl === '' && tsaUrl === '') {
    throw new HoubaError('ConfigInvalid', 'a keyless signature needs a time that outlives its certificate', {
      hint: 'set HOUBA_ATTEST_REKOR_URL or HOUBA_ATTEST_TSA_URL beside HOUBA_ATTEST_FULCIO_URL',
    });
  }
  const operator = settings.builderId || 'houba';
  const services = (url: string) =>
    url === '' ? [] : [{ url, majorApiVersion: 1, validFor: { start: '1970-01-01T00:00:00Z' }, operator }];
  const config = {
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    ...(fulcioUrl !== '' && { caUrls: services(fulcioUrl) }),
    ...(rekorUrl !== '' && { rekorTlogUrls: services(rekorUrl) }),
    rekorTlogConfig: rekorUrl === '' ? {} : { selector: 'ANY' },
    ...(tsaUrl !== '' && { tsaUrls: services(tsaUrl) }),
    tsaConfig: tsaUrl === '' ? {} : { selector: 'ANY' },
  };
  const asked = [...(keyless ? [fulcioUrl] : []), rekorUrl, tsaUrl].filter((url) => url !== '');
  return { config, trustedRoot: trustedRootFor(asked, settings.trustedRoot) };
}

/** cosign verifies what it has signed, and would fetch the public root for that. */
function trustedRootFor(asked: readonly string[], path: string): SigningPlan['trustedRoot'] {
  if (asked.length === 0) return 'none';
  if (path !== '') return { path };
  const own = asked.find((url) => !/^https:\/\/[a-z0-9.-]+\.sigstore\.dev(\/|$)/.test(url));
  if (own === undefined) return 'public';
  throw new HoubaError('ConfigInvalid', `HOUBA_ATTEST_TRUSTED_ROOT is needed to believe what ${own} says`, {
    hint: 'cosign trusted-root create makes the file from the certificates and keys of the services',
  });
}
