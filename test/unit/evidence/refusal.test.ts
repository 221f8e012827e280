import { expect, it } from 'vitest';
import { explainRefusal } from '../../../domain/evidence/refusal.js';

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
  ['failed to verify signature: something new', 'something new'],
  ['it is not a Sigstore bundle', 'it is not a Sigstore bundle'],
])('%s: %s', (said, meaning) => {
  expect(explainRefusal(said)).toBe(meaning);
});
