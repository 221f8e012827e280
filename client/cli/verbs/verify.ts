import { Command, InvalidArgumentError, Option } from 'commander';
import { HoubaError } from '../../../domain/errors.js';
import { SEVERITIES, type Severity } from '../../../domain/evidence/severity.js';
import { REQUIREMENTS, type Requirement } from '../../../domain/evidence/verify.js';
import { renderVerifyReport } from '../../../domain/evidence/verify-report.js';
import { nearest } from '../../../domain/text/nearest.js';
import { describeError, exitCodeOfError, INTERRUPTED } from '../failure.js';
import { readImageReference, requireSameHost } from '../image-reference.js';
import { age, type Output, outputOption } from '../options.js';

interface VerifyOptions {
  readonly require: readonly Requirement[];
  readonly maxSeverity?: Severity;
  readonly maxAge?: number;
  readonly registry?: string;
  readonly output: Output;
  readonly color: boolean;
}

export function verifyCommand(): Command {
  return new Command('verify')
    .argument('<ref>', 'image, with its host: registry.example/team/app:1.2, or @sha256:…')
    .addOption(
      new Option('--require <names>', `what must hold, separated by commas: ${REQUIREMENTS.join(', ')}`)
        .argParser(requirements)
        .default(['scan-pass'] satisfies Requirement[], 'scan-pass'),
    )
    .addOption(
      new Option('--max-severity <severity>', 'fail when the scan found any at or above it').choices(SEVERITIES),
    )
    .option('--max-age <duration>', 'fail when the freshest scan is older, as in 7d or 36h', age)
    .option('--registry <name>', 'the entry of HOUBA_REGISTRIES to use, where several have this host')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  houba verify registry.example/cache/valkey:8.1 --require stamp,sbom,signature' +
        '\n\nSignatures are checked with HOUBA_ATTEST_KEY_REF, or against HOUBA_ATTEST_VERIFY_IDENTITY and ' +
        'HOUBA_ATTEST_VERIFY_OIDC_ISSUER.\nExit codes: 0 all hold, 1 one does not, 2 it could not be found out, 3 bad arguments.',
    )
    .action((ref: string, _: unknown, self: Command) => verify(ref, self.optsWithGlobals<VerifyOptions>()));
}

async function verify(ref: string, options: VerifyOptions): Promise<void> {
  const { require: asked, maxSeverity = null, maxAge = null, registry = null } = options;
  const reference = readImageReference(ref);
  refuseIdleOptions(options);
  const { settingsOfProcess } = await import('../settings.js');
  const { settings } = settingsOfProcess();
  requireSameHost(reference, registry === null ? null : (settings.registries.get(registry)?.host ?? null), registry);
  const { verifyImage } = await import('../../../activities/evidence/verify-image.js');
  const { openInspector } = await import('../../../worker/verify-dependencies.js');
  const { watchInterrupts } = await import('../interrupts.js');
  const { note, paletteFor, print, printJson } = await import('../terminal.js');

  const stopping = new AbortController();
  const interrupts = watchInterrupts();
  void interrupts.first().then(() => stopping.abort());
  const opened = openInspector(settings, registry);
  try {
    const request = { ref, reference, requirements: asked, maxSeverity, maxAgeMs: maxAge, now: Date.now() };
    const report = await verifyImage(opened.inspector, request, stopping.signal);
    if (options.output === 'json') await printJson(report);
    else await print(renderVerifyReport(report, paletteFor(process.stdout, options.color)));
    process.exitCode = report.passed ? 0 : 1;
  } catch (error) {
    const code = exitCodeOfError(error);
    if (!stopping.signal.aborted && code !== 1) throw error;
    // Exit 1 says that the image was judged and failed; this one could not be judged.
    if (!stopping.signal.aborted) note(describeError(error, settings.logLevel === 'debug'));
    process.exitCode = stopping.signal.aborted ? INTERRUPTED : 2;
  } finally {
    await opened.close();
    interrupts.stop();
  }
}

/** Parses `stamp,sbom` as requirements, each once. */
export function requirements(text: string): Requirement[] {
  const known: readonly string[] = REQUIREMENTS;
  const named = [...new Set(text.split(',').map((name) => name.trim()))];
  const unknown = named.filter((name) => !known.includes(name));
  if (unknown.length === 0) return named as Requirement[];
  const meant = unknown.map((name) => nearest(name, known)).filter((name) => name !== null);
  const advice = meant.length === 0 ? '' : ` Did you mean ${meant.join(', ')}?`;
  const told = unknown.map((name) => JSON.stringify(name)).join(', ');
  throw new InvalidArgumentError(`It knows ${known.join(', ')}, not ${told}.${advice}`);
}

/** Refuses options without effect, which would look like a passed gate. */
function refuseIdleOptions({ require: asked, maxSeverity, maxAge }: VerifyOptions): void {
  if (asked.includes('scan-pass') || (maxSeverity === undefined && maxAge === undefined)) return;
  const option = maxSeverity === undefined ? '--max-age' : '--max-severity';
  throw new HoubaError('ConfigInvalid', `${option} is about scan-pass, which --require does not name`, {
    hint: `add scan-pass to --require, or leave ${option} out`,
  });
}
