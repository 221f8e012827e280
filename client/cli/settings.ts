import { readEnvironment } from '../../config/environment.js';
import { type LoadedSettings, loadSettings } from '../../config/settings.js';
import { note } from './terminal.js';

/** Loads the settings of this process; warnings go to stderr. */
export function settingsOfProcess(): LoadedSettings {
  const loaded = loadSettings(readEnvironment());
  for (const warning of loaded.warnings) note(`warning: ${warning}`);
  return loaded;
}
