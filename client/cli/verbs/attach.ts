import { Command, InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../../../config/settings.js';
import { HoubaError } from '../../../domain/errors.js';
import {
  type Attachment,
  parseReport,
  parseVex,
  REPORT_FORMATS,
  type ReportFormat,
} from '../../../domain/evidence/attach/attachment.js';
import { breachOf, SEVERITIES, type Severity } from '../../../domain/evidence/severity.js';
import type { Reference } from '../../../domain/reference.js';
import { placeInRoster, type Roster, rosterByName } from '../../../domain/roster.js';
import { describeError, exitCodeOfError, INTERRUPTED } from '../failure.js';
import { readImageReference, requireSameHost } from '../image-reference.js';
import { named, type Output, outputOption } from '../options.js';

interface AttachOptions {
  readonly report?: string;
  readonly vex?: string;
  readonly format?: ReportFormat;
  readonly platform?: string;
  readonly failOn?: Severity;
  readonly registry?: string;
  readonly dryRun?: boolean;
  readonly output: Output;
  readonly color: boolean;
}

export function attachCommand(): Command {
  return new Command('attach')
    .argument('<ref>', 'image, with its host: registry.example/team/app:1.2, or @sha256:…')
    .option('--report <file>', 'the scan report (SARIF 2.1.0); - is standard input', named)
    .option('--vex <file>', 'an OpenVEX document, instead of a report; - is standard input', named)
    .addOption(new Option('--format <format>', 'format of the report (default: recognised)').choices(REPORT_FORMATS))
    .option('--platform <os/arch>', 'attach to the image of this platform, which was scanned', platform)
    .addOption(
      new Option(
        '--fail-on <severity>',
        'exit 1 when the report has any at or above it; it is attached all the same',
      ).choices(SEVERITIES),
    )
    .option('--registry <name>', 'the entry of HOUBA_REGISTRIES to use, where several have this host')
    .option('--dry-run', 'say what the report comes to, and write nothing')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  grype registry.example/cache/valkey:8.1 -o sarif | houba attach registry.example/cache/valkey:8.1 --report -' +
        '\n\nWhat is attached is signed when HOUBA_ATTEST_SIGNER is set.\nExit codes: 0 attached, 1 the report is bad or ' +
        '--fail-on is breached, 2 a registry or the signing failed, 3 bad arguments or settings.',
    )
    .action((ref: string, _: unknown, self: Command) => attach(ref, self.optsWithGlobals<AttachOptions>()));
}

async function attach(ref: string, options: AttachOptions): Promise<void> {
  const reference = readImageReference(ref);
  const source = sourceOf(options);
  const { settingsOfProcess } = await import('../settings.js');
  const { settings } = settingsOfProcess();
  const registry = registryOf(settings.registries, reference, options.registry ?? null);
  const { readReportFile } = await import('../report-file.js');
  const { watchInterrupts } = await import('../interrupts.js');
  const { note } = await import('../terminal.js');

  const stopping = new AbortController();
  const { signal } = stopping;
  const interrupts = watchInterrupts();
  void interrupts.first().then(() => stopping.abort());
  try {
    const bytes = await readReportFile(source.option, source.file, signal);
    const attachment = source.option === 'vex' ? parseVex(bytes) : parseReport(bytes, options.format ?? null);
    if (attachment.kind === 'scan' && attachment.report.skipped > 0) {
      note(`warning: ${attachment.report.skipped} entries of the report are no results, and do not count`);
    }
    await attachAndTell({ ref, reference, attachment, registry, signal }, options, settings);
  } catch (error) {
    if (!signal.aborted) throw error;
    process.exitCode = INTERRUPTED;
  } finally {
    interrupts.stop();
  }
}

interface Task {
  readonly ref: string;
  readonly reference: Reference;
  readonly attachment: Attachment;
  readonly registry: string;
  readonly signal: AbortSignal;
}

async function attachAndTell(
  { ref, reference, attachment, registry, signal }: Task,
  options: AttachOptions,
  settings: Settings,
): Promise<void> {
  const { attachDocument } = await import('../../../activities/evidence/attach-document.js');
  const { openAttacher } = await import('../../../worker/attach-dependencies.js');
  const { renderAttachReport } = await import('../../../domain/evidence/attach/attach-report.js');
  const { note, paletteFor, print, printJson } = await import('../terminal.js');
  const { platform: asked = null, dryRun = false, failOn } = options;
  const opened = await openAttacher(settings, registry);
  try {
    const request = {
      ref,
      reference,
      attachment,
      platform: asked,
      now: Date.now(),
      dryRun: dryRun || settings.dryRunTags,
    };
    const { report, unsigned } = await attachDocument(opened.attacher, request, signal);
    if (options.output === 'json') await printJson(report);
    else await print(renderAttachReport(report, unsigned, paletteFor(process.stdout, options.color)));
    const breach = failOn === undefined ? null : breachOf(report.facts, failOn);
    if (breach === null) return;
    note(describeError(new HoubaError('GateBreached', `${ref}: ${breach}`), false));
    process.exitCode = 1;
  } catch (error) {
    if (signal.aborted || exitCodeOfError(error) !== 1) throw error;
    // Exit 1 speaks of the report; this is about the registry.
    note(describeError(error, settings.logLevel === 'debug'));
    process.exitCode = 2;
  } finally {
    await opened.close();
  }
}

/** @throws HoubaError `ConfigInvalid`, also for options without effect, which would look like a passed gate */
function sourceOf({ report, vex, format, failOn }: AttachOptions): { option: 'report' | 'vex'; file: string } {
  if (report !== undefined && vex !== undefined) {
    throw new HoubaError('ConfigInvalid', '--report and --vex are attached one at a time', {
      hint: 'run houba attach twice',
    });
  }
  if (report !== undefined) return { option: 'report', file: report };
  if (vex === undefined) {
    throw new HoubaError('ConfigInvalid', 'nothing says what to attach', { hint: 'add --report FILE, or --vex FILE' });
  }
  if (failOn === undefined && format === undefined) return { option: 'vex', file: vex };
  throw new HoubaError('ConfigInvalid', `${failOn === undefined ? '--format' : '--fail-on'} is about a scan report`, {
    hint: 'leave it out: a VEX document has no findings',
  });
}

/** Finds the roster entry to write with. @throws HoubaError `ConfigInvalid` where there is none */
function registryOf(roster: Roster, reference: Reference, name: string | null): string {
  if (name === null) return placeInRoster(roster, reference).registry;
  const entry = rosterByName(roster, name);
  requireSameHost(reference, entry.host, name);
  return placeInRoster(new Map([[name, entry]]), reference).registry;
}

function platform(text: string): string {
  if (/^[^\s/]+\/[^\s/]+(?:\/[^\s/]+)?$/.test(text)) return text;
  throw new InvalidArgumentError('It must be a platform such as linux/amd64 or linux/arm/v7.');
}
