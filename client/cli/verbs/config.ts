import { Command } from 'commander';
import { configurationMarkdown } from '../../../config/configuration-page.js';
import { readEnvironment } from '../../../config/environment.js';
import type { LoadedSettings } from '../../../config/settings.js';
import { FOREIGN_VARIABLES } from '../../../config/variables.js';
import { escapeControls } from '../../../domain/text/escape.js';
import { type Output, outputOption } from '../options.js';
import { settingsOfProcess } from '../settings.js';
import { print, printJson } from '../terminal.js';

export function configCommand(): Command {
  const show = new Command('show')
    .description('print every setting and where it comes from, secrets masked')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba config show --output json')
    .action(async ({ output }: { readonly output: Output }) => {
      const shown = shownSettings(settingsOfProcess(), readEnvironment());
      if (output === 'json') await printJson({ schema_version: 1, settings: shown });
      else await print(shown.map(settingLine).join(''));
    });
  const reference = new Command('reference')
    .description('print the reference page of all variables, as Markdown')
    .addHelpText('after', '\nExample:\n  houba config reference > docs/reference/configuration.md')
    .action(() => print(configurationMarkdown()));
  return new Command('config').addCommand(show).addCommand(reference);
}

interface ShownSetting {
  readonly name: string;
  /** null: unset. Secrets are `***`. */
  readonly value: string | null;
  readonly origin: 'flag' | 'environment' | 'default';
}

/** Lists houba's own variables, and those of other programs that are set. */
export function shownSettings(
  { settings, origins }: Pick<LoadedSettings, 'settings' | 'origins'>,
  environment: Readonly<Record<string, string | undefined>>,
): ShownSetting[] {
  const own = [...origins].map(([name, origin]) => ({ name, value: settings.shown[name] ?? null, origin }));
  const foreign: ShownSetting[] = [];
  for (const { name, secret } of FOREIGN_VARIABLES) {
    const text = environment[name];
    // A proxy's address may hold a password.
    const value = secret === true ? '***' : text?.replace(/\/\/[^/@\s]+@/, '//***@');
    if (text !== undefined && text !== '') foreign.push({ name, value: value ?? null, origin: 'environment' });
  }
  return [...own, ...foreign];
}

function settingLine({ name, value, origin }: ShownSetting): string {
  const text = value === null ? '(unset)' : value === '' ? '(empty)' : escapeControls(value);
  return `${name.padEnd(32)} ${origin.padEnd(11)} ${text}\n`;
}
