import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../../domain/digest.js';
import { artifactOf, parseReport, parseVex, statementsOf } from '../../../../../domain/evidence/attach/attachment.js';
import { readScanPredicate } from '../../../../../domain/evidence/scan.js';
import { readScanReports } from '../../../../../domain/lifecycle/collect.js';
import { digestFor } from '../../../../support/durable-samples.js';
import { bytesOf, sarif } from './samples.js';

const SUBJECT = digestFor('subject');
const RAW = digestFor('raw');
const NOW = Date.parse('2026-06-12T09:30:00Z');
const AT = '2026-06-12T09:30:00+00:00';
const VEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"sec","timestamp":"2026-01-01T00:00:00Z","statements":[{"vulnerability":{"name":"CVE-1"},"status":"fixed"}]}`;

const report = (driver: object = {}) =>
  parseReport(bytesOf(sarif([{ ruleId: 'A', level: 'error' }], { driver })), null);
const statements = (attachment = report(), prefix = 'io.houba') =>
  statementsOf(attachment, RAW, { at: NOW, builderId: 'https://builder.example', prefix });

describe('the artifact of a report', () => {
  it('bears tool, format, time, subject and every fact', () => {
    const bytes = bytesOf(sarif([{ ruleId: 'A', level: 'error' }]));
    const artifact = artifactOf(parseReport(bytes, null), SUBJECT, NOW, 'io.houba');
    const none = Object.fromEntries(
      ['vuln', 'policy'].flatMap((kind) =>
        ['critical', 'high', 'medium', 'low', 'unknown'].map((severity) => [`io.houba.scan.${kind}.${severity}`, '0']),
      ),
    );
    expect(artifact).toEqual({
      artifactType: 'application/vnd.houba.scan.result.v1',
      annotations: {
        'io.houba.scan.tool': 'scanner',
        'io.houba.scan.format': 'sarif',
        'io.houba.scan.timestamp': AT,
        'io.houba.scan.subject': SUBJECT,
        ...none,
        'io.houba.scan.vuln.high': '1',
        'io.houba.scan.policy.passed': '0',
      },
      file: { bytes, mediaType: 'application/sarif+json' },
    });
  });

  it('bears the version of a tool that tells one', () => {
    const { annotations } = artifactOf(report({ version: '1.2' }), SUBJECT, NOW, 'org.example');
    expect(annotations).toMatchObject({ 'org.example.scan.tool.version': '1.2' });
  });

  it('bears nothing where the prefix is empty', () => {
    expect(artifactOf(report(), SUBJECT, NOW, '').annotations).toEqual({});
  });

  it('is one that gc reads', () => {
    const { artifactType, annotations } = artifactOf(report(), SUBJECT, NOW, 'io.houba');
    expect(readScanReports([{ digest: RAW, artifactType, annotations }], 'io.houba')).toEqual([
      { digest: RAW, tool: 'scanner', format: 'sarif', timestamp: AT },
    ]);
  });
});

describe('the statements about a report', () => {
  it('are the scan, which verify and gc read, and the vulnerabilities', () => {
    const { main, vulns } = statements(report({ version: '1.2' }));
    expect(main).toEqual({
      predicateType: 'https://houba.dev/predicate/scan/v1',
      predicate: {
        scanner: { name: 'scanner', version: '1.2' },
        format: 'sarif',
        summary: expect.objectContaining({ 'vuln.high': '1', 'vuln.critical': '0', 'policy.passed': '0' }),
        report_digest: RAW,
        attested_at: AT,
        builder_id: 'https://builder.example',
      },
      annotations: {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': 'https://houba.dev/predicate/scan/v1',
        'io.houba.scan.report': RAW,
      },
    });
    expect(readScanPredicate(main.predicate)).toMatchObject({ scanner: 'scanner', report: RAW, attestedAt: AT });
    expect(vulns).toMatchObject({
      predicateType: 'https://in-toto.io/attestation/vulns/v0.2',
      annotations: { 'io.houba.scan.report': RAW },
    });
  });

  it('say why the second is not made', () => {
    const two = parseReport(bytesOf({ runs: [{ results: [] }] }), null);
    expect(statements(two).vulns).toBe('a run names no tool');
  });

  it('bear nothing of ours where the prefix is empty', () => {
    expect(Object.keys(statements(report(), '').main.annotations)).toEqual([
      'dev.sigstore.bundle.content',
      'dev.sigstore.bundle.predicateType',
    ]);
  });
});

describe('a VEX document', () => {
  it('is attached as it came, and signed without its byte order mark', () => {
    const bytes = bytesOf(`\ufeff${VEX}`);
    const vex = parseVex(bytes);
    const { artifactType, annotations, file } = artifactOf(vex, SUBJECT, NOW, 'io.houba');
    expect({ artifactType, mediaType: file.mediaType }).toEqual({
      artifactType: 'application/vnd.openvex+json',
      mediaType: 'application/vnd.openvex+json',
    });
    expect(file.bytes).toBe(bytes);
    expect(annotations).toEqual({
      'io.houba.vex.author': 'sec',
      'io.houba.vex.format': 'openvex',
      'io.houba.vex.timestamp': AT,
      'io.houba.vex.subject': SUBJECT,
      'io.houba.vex.statements': '1',
      'io.houba.vex.not_affected': '0',
      'io.houba.vex.affected': '0',
      'io.houba.vex.fixed': '1',
      'io.houba.vex.under_investigation': '0',
    });
    const { main, vulns } = statements(vex);
    expect(main.predicateType).toBe('https://openvex.dev/ns');
    expect(new TextDecoder().decode(main.predicate as Uint8Array)).toBe(VEX);
    expect(main.annotations).toMatchObject({ 'io.houba.vex.document': RAW as Digest });
    expect(vulns).toBeNull();
  });

  it('bears nothing where the prefix is empty', () => {
    expect(artifactOf(parseVex(bytesOf(VEX)), SUBJECT, NOW, '').annotations).toEqual({});
  });
});
