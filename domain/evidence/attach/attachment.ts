import type { Digest } from '../../digest.js';
import { formatInstant } from '../../instant.js';
import { prefixedKeys, SCAN_ARTIFACT_TYPE } from '../../stamp/keys.js';
import { signedAs } from '../attestation.js';
import { SCAN_PREDICATE_TYPE, scanPredicate } from '../scan.js';
import { invalid, type JsonDocument, parseJsonDocument } from './json-document.js';
import { isOpenVex, OPENVEX_MEDIA_TYPE, OPENVEX_PREDICATE_TYPE, type OpenVex, readOpenVex } from './openvex.js';
import { isSarif, readSarif, type SarifReport } from './sarif.js';
import { VULNS_PREDICATE_TYPE, vulnsPredicate } from './vulns.js';

export const REPORT_FORMATS = ['sarif'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];

/** A document that somebody else made, read and ready to be attached as it came. */
export type Attachment = ScanAttachment | VexAttachment;

interface ScanAttachment {
  readonly kind: 'scan';
  readonly format: ReportFormat;
  readonly document: JsonDocument;
  readonly report: SarifReport;
}

interface VexAttachment {
  readonly kind: 'vex';
  readonly format: 'openvex';
  readonly document: JsonDocument;
  readonly vex: OpenVex;
}

/** Parses a scan report. @param format null: it is recognised. @throws HoubaError `ReportInvalid` */
export function parseReport(bytes: Uint8Array, format: ReportFormat | null): Attachment {
  const document = parseJsonDocument(bytes, 'the report');
  if (format === null && !isSarif(document.value)) {
    const hint = isOpenVex(document.value) ? 'it is OpenVEX: use --vex' : 'let the scanner write SARIF 2.1.0';
    throw invalid('the report is of an unknown format', hint);
  }
  return { kind: 'scan', format: 'sarif', document, report: readSarif(document.value) };
}

/** Parses a VEX document. @throws HoubaError `ReportInvalid` */
export function parseVex(bytes: Uint8Array): Attachment {
  const document = parseJsonDocument(bytes, 'the VEX document');
  return { kind: 'vex', format: 'openvex', document, vex: readOpenVex(document.value) };
}

/** Who made a document: the scanner, or the author. */
export function makerOf(attachment: Attachment): { readonly tool: string; readonly toolVersion: string | null } {
  if (attachment.kind === 'scan') return attachment.report;
  return { tool: attachment.vex.author, toolVersion: null };
}

export function factsOf(attachment: Attachment): Readonly<Record<string, string>> {
  return attachment.kind === 'scan' ? attachment.report.facts : attachment.vex.facts;
}

/** The raw document as an artifact (docs/rules/evidence.md#scan-reports-are-data). @param at ms since 1970 */
export function artifactOf(attachment: Attachment, subject: Digest, at: number, prefix: string) {
  const mediaType = attachment.kind === 'scan' ? 'application/sarif+json' : OPENVEX_MEDIA_TYPE;
  return {
    artifactType: attachment.kind === 'scan' ? SCAN_ARTIFACT_TYPE : mediaType,
    annotations: annotationsOf(attachment, subject, formatInstant(at), prefix),
    file: { bytes: attachment.document.bytes, mediaType },
  };
}

function annotationsOf(attachment: Attachment, subject: Digest, at: string, prefix: string): Record<string, string> {
  const keys = prefixedKeys(prefix);
  if (keys === null) return {};
  const { tool, toolVersion } = makerOf(attachment);
  const { format } = attachment;
  const facts = Object.entries(factsOf(attachment));
  if (attachment.kind === 'vex') {
    return {
      ...{ [keys.vexAuthor]: tool, [keys.vexFormat]: format, [keys.vexTimestamp]: at, [keys.vexSubject]: subject },
      ...Object.fromEntries(facts.map(([name, value]) => [keys.vexFact(name), value])),
    };
  }
  return {
    ...{ [keys.scanTool]: tool, [keys.scanFormat]: format, [keys.scanTimestamp]: at, [keys.scanSubject]: subject },
    ...(toolVersion === null ? {} : { [keys.scanToolVersion]: toolVersion }),
    ...Object.fromEntries(facts.map(([name, value]) => [keys.scanFact(name), value])),
  };
}

/** A statement to sign about an attached document, and the annotations of its bundle. */
export interface AttachedStatement {
  readonly predicateType: string;
  readonly predicate: Uint8Array | object;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface AttachedStatements {
  readonly main: AttachedStatement;
  /** The vulnerability statement; a text says why there is none, null: a VEX document has none. */
  readonly vulns: AttachedStatement | string | null;
}

/** Builds what is signed about a document that is attached. @param raw its artifact. @param at ms since 1970 */
export function statementsOf(
  attachment: Attachment,
  raw: Digest,
  { at, builderId, prefix }: { readonly at: number; readonly builderId: string; readonly prefix: string },
): AttachedStatements {
  const keys = prefixedKeys(prefix);
  const link = keys && (attachment.kind === 'scan' ? keys.scanReport : keys.vexDocument);
  const about = (predicateType: string, predicate: Uint8Array | object): AttachedStatement => ({
    predicateType,
    predicate,
    annotations: { ...signedAs(predicateType), ...(link === null ? {} : { [link]: raw }) },
  });
  if (attachment.kind === 'vex') {
    return { main: about(OPENVEX_PREDICATE_TYPE, attachment.document.json), vulns: null };
  }
  const { format, report } = attachment;
  const facts = { report: raw, attestedAt: formatInstant(at), builderId };
  const vulns = vulnsPredicate(report, at);
  return {
    main: about(SCAN_PREDICATE_TYPE, scanPredicate({ ...makerOf(attachment), format }, report.facts, facts)),
    vulns: typeof vulns === 'string' ? vulns : about(VULNS_PREDICATE_TYPE, vulns),
  };
}
