import { describe, expect, it } from 'vitest';
import { bundledCertificates, readCertificates } from '../../../../domain/transform/certificates.js';
import { CERTIFICATES, PLAIN, TWIN } from './certificates.js';

describe('reading certificates', () => {
  it.each(CERTIFICATES)('names $what as OpenSSL does', ({ pem, subjectHash }) => {
    expect(readCertificates('corp', pem)).toEqual([{ pem, base64: bodyOf(pem), subjectHash }]);
  });

  it('takes several, whatever stands around them and however their lines end', () => {
    const text = `subject=CN = a\n${PLAIN.pem.replaceAll('\n', '\r\n')}\n# the second - one\n${TWIN.pem.trimEnd()}`;
    expect(readCertificates('corp', text).map(({ pem }) => pem)).toEqual([PLAIN.pem, TWIN.pem]);
  });

  it('has one form for one certificate, however its lines are broken', () => {
    const oneLine = `-----BEGIN CERTIFICATE-----\n${bodyOf(PLAIN.pem)}\n-----END CERTIFICATE-----`;
    expect(readCertificates('corp', oneLine)).toEqual(readCertificates('corp', PLAIN.pem));
  });

  it.each([
    ['a private key', '-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n'],
    ['a key of one algorithm', '-----BEGIN EC PRIVATE KEY-----\nhush\n-----END EC PRIVATE KEY-----\n'],
    [
      'an encrypted key',
      '-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES-256-CBC,0\n\nhush\n-----END RSA PRIVATE KEY-----\n',
    ],
    ['a key cut short', '-----BEGIN ENCRYPTED PRIVATE KEY-----\nhush'],
  ])('refuses %s beside a certificate, and does not tell it', (_what, key) => {
    expect(() => readCertificates('corp', PLAIN.pem + key)).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: 'HOUBA_TRANSFORM_CA_CERTS: corp holds a private key, which would be in every image',
      }),
    );
  });

  it.each<[string, string, string]>([
    ['nothing', '', 'holds no certificate in PEM form'],
    ['a certificate in DER form', '\u0030\u0082\u0001', 'holds no certificate in PEM form'],
    ['another kind of block', block('CERTIFICATE REQUEST', bodyOf(PLAIN.pem)), 'block 1 is not an X.509 certificate'],
    [
      'a block that ends as another',
      PLAIN.pem.replace('END CERT', 'END X509 CERT'),
      'block 1 is not an X.509 certificate',
    ],
    ['a second block that is none', PLAIN.pem + block('CERTIFICATE', 'AAAA'), 'block 2 is not an X.509 certificate'],
    ['no base64', block('CERTIFICATE', '!!!!'), 'block 1 is not an X.509 certificate'],
    ['base64 cut short', block('CERTIFICATE', bodyOf(PLAIN.pem).slice(0, -3)), 'block 1 is not an X.509 certificate'],
    ['bytes after the certificate', block('CERTIFICATE', withMore(PLAIN.pem)), 'block 1 is not an X.509 certificate'],
    ['an empty sequence', block('CERTIFICATE', 'MAA='), 'block 1 is not an X.509 certificate'],
    ['three parts without a name', block('CERTIFICATE', 'MAcwADAAAwEA'), 'block 1 is not an X.509 certificate'],
    ['a number', block('CERTIFICATE', 'AgEB'), 'block 1 is not an X.509 certificate'],
    ['a block cut short', `${PLAIN.pem}-----BEGIN CERTIFICATE-----\nMIIB`, 'holds a block that is cut short'],
  ])('refuses %s', (_what, text, why) => {
    expect(() => readCertificates('corp', text)).toThrow(
      expect.objectContaining({ code: 'ConfigInvalid', message: `HOUBA_TRANSFORM_CA_CERTS: corp ${why}` }),
    );
  });
});

describe('the certificates of a bundle', () => {
  it('are found among comments, and whatever else it holds', () => {
    const bundle = `# Főtanúsítvány\n${PLAIN.pem}-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n${TWIN.pem}-----BEGIN CERT`;
    expect(bundledCertificates(new TextEncoder().encode(bundle))).toEqual(
      new Set([bodyOf(PLAIN.pem), bodyOf(TWIN.pem)]),
    );
  });
});

function bodyOf(pem: string): string {
  return pem.split('\n').slice(1, -2).join('');
}

function block(label: string, body: string): string {
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}

function withMore(pem: string): string {
  const bytes = [...atob(bodyOf(pem)), '\u0000', '\u0000'].join('');
  return btoa(bytes);
}
