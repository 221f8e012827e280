import { expect, it } from 'vitest';
import { explainRefusal } from '../../../../../domain/evidence/upstream/refusal.js';

const IDENTITY = 'failed to verify certificate identity: no matching CertificateIdentity found, last error: expected';

// What cosign 3.1.3 says.
it.each([
  [
    'failed to verify signature: could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1',
    'it is by another key, or was changed',
  ],
  [
    'failed to verify signature: could not verify message: invalid signature when validating ASN.1 encoded signature',
    'it is by another key, or was changed',
  ],
  [
    'failed to verify signature: provided artifact digest does not match any digest in statement',
    'it is about another digest',
  ],
  [`${IDENTITY} SAN value "a@example.org", got "b@example.org"`, 'it is by "b@example.org", not "a@example.org"'],
  [`${IDENTITY} SAN value to match regex "^a@", got "$1"`, 'it is by "$1", not "^a@"'],
  [
    `${IDENTITY} issuer value "https://a.example", got "https://b.example"`,
    'the issuer "https://b.example" vouches for its signer, not "https://a.example"',
  ],
  [
    'failed to verify leaf certificate: leaf certificate verification failed',
    'its certificate is of no authority that is trusted here',
  ],
  [
    'failed to verify log inclusion: not enough verified log entries from transparency log: 0 < 1',
    'it is in no transparency log that is trusted here',
  ],
  [
    'threshold not met for verified signed timestamps: 0 < 1; error: unable to verify signed timestamps',
    'no clock that is trusted here says when it was made',
  ],
  ['failed to verify signature: something new', 'something new'],
  ['it is not a Sigstore bundle', 'it is not a Sigstore bundle'],
])('%s: %s', (said, meaning) => {
  expect(explainRefusal(said)).toBe(meaning);
});
