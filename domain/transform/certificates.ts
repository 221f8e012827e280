import { sha1 } from '@noble/hashes/legacy.js';
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js';
import { BaseStringBlock, BitString, Set as DerSet, fromBER, Integer, Sequence } from 'asn1js';
import { HoubaError } from '../errors.js';

export interface Certificate {
  /** The block as OpenSSL writes it, with its final newline and nothing around it. */
  readonly pem: string;
  /** Equal for equal certificates. */
  readonly base64: string;
  /** `openssl x509 -subject_hash`: its name in a hash directory. */
  readonly subjectHash: string;
}

const BLOCK = /-----BEGIN ([^-\r\n]+)-----([^-]*)-----END ([^-\r\n]+)-----/g;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/**
 * Reads the certificates of a PEM text.
 * @param name of the text in the configuration
 * @throws HoubaError `ConfigInvalid` for none, or for anything else, such as a private key; it never quotes the text
 */
export function readCertificates(name: string, text: string): Certificate[] {
  if (/-----BEGIN [^-\r\n]*PRIVATE KEY/.test(text)) {
    throw invalid(name, 'holds a private key, which would be in every image', 'give it the certificate alone');
  }
  const certificates: Certificate[] = [];
  for (const [, label, body = '', end] of text.matchAll(BLOCK)) {
    const base64 = body.replace(/\s+/g, '');
    const subjectHash = label === 'CERTIFICATE' && end === label ? hashSubject(base64) : null;
    if (subjectHash === null) {
      throw invalid(name, `block ${certificates.length + 1} is not an X.509 certificate`);
    }
    certificates.push({ pem: toPem(base64), base64, subjectHash });
  }
  if (certificates.length !== text.split('-----BEGIN').length - 1)
    throw invalid(name, 'holds a block that is cut short');
  if (certificates.length === 0) throw invalid(name, 'holds no certificate in PEM form');
  return certificates;
}

/** Lists the certificates of a bundle in base64 without line breaks; other content is ignored. */
export function bundledCertificates(bundle: Uint8Array): Set<string> {
  const blocks = new TextDecoder().decode(bundle).matchAll(/-----BEGIN CERTIFICATE-----([^-]*)-----END/g);
  return new Set(Array.from(blocks, ([, body = '']) => body.replace(/\s+/g, '')));
}

function invalid(name: string, why: string, hint = 'it must be one or more BEGIN CERTIFICATE blocks'): HoubaError {
  return new HoubaError('ConfigInvalid', `HOUBA_TRANSFORM_CA_CERTS: ${name} ${why}`, { hint });
}

function toPem(base64: string): string {
  const lines = base64.match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** Hashes the subject of a certificate (RFC 5280, 4.1); null: it is none. */
function hashSubject(base64: string): string | null {
  if (!BASE64.test(base64) || base64.length % 4 !== 0) return null;
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { offset, result } = fromBER(bytes, { parseEmbedded: false });
  if (offset !== bytes.length || !(result instanceof Sequence)) return null;
  const [signed, algorithm, signature] = result.valueBlock.value;
  if (!(signed instanceof Sequence && algorithm instanceof Sequence && signature instanceof BitString)) return null;
  // The version, before them, and the extensions, after them, have tags of their own.
  const [serial, ...fields] = signed.valueBlock.value.filter((field) => field.idBlock.tagClass === UNIVERSAL);
  const [, , , subject] = fields;
  if (!(serial instanceof Integer) || fields.length !== 5 || !(subject instanceof Sequence)) return null;
  const hash = sha1(concatBytes(...subject.valueBlock.value.map(canonical)));
  return bytesToHex(hash.subarray(0, 4).toReversed());
}

type Block = Sequence['valueBlock']['value'][number];

const UNIVERSAL = 1;
const TAG = { utf8: 0x0c, sequence: 0x30, set: 0x31 };

/** Tags of the string types that OpenSSL folds. */
const FOLDED: ReadonlySet<number> = new Set([12, 19, 20, 22, 26, 28, 30]);

/** Writes a part of a name as OpenSSL compares it (X509_NAME canonical encoding). */
function canonical(block: Block): Uint8Array {
  if (block instanceof DerSet) return der(TAG.set, block.valueBlock.value.map(canonical).sort(byBytes));
  if (block instanceof Sequence) return der(TAG.sequence, block.valueBlock.value.map(canonical));
  if (!(block instanceof BaseStringBlock) || !FOLDED.has(block.idBlock.tagNumber)) return block.valueBeforeDecodeView;
  const text = block
    .getValue()
    .replace(/[ \t\n\v\f\r]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return der(TAG.utf8, [utf8ToBytes(text)]);
}

function byBytes(one: Uint8Array, other: Uint8Array): number {
  return bytesToHex(one) < bytesToHex(other) ? -1 : 1;
}

function der(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest >>= 8) length.unshift(rest & 0xff);
  const head = content.length < 0x80 ? [tag, content.length] : [tag, 0x80 | length.length, ...length];
  return concatBytes(Uint8Array.from(head), content);
}
