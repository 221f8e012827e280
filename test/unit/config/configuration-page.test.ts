import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configurationMarkdown } from '../../../config/configuration-page.js';
import { packageRoot } from '../../../config/programs.js';
import { VARIABLES } from '../../../config/variables.js';

describe('the reference page', () => {
  it('is current', () => {
    const committed = readFileSync(join(packageRoot(), 'docs/reference/configuration.md'), 'utf8');
    const how = 'run: bin/houba config reference > docs/reference/configuration.md';
    expect(committed === configurationMarkdown(), how).toBe(true);
  });

  it('names every variable once in its tables', () => {
    for (const { name } of Object.values(VARIABLES)) {
      expect(configurationMarkdown().split(`\n| \`${name}\` |`)).toHaveLength(2);
    }
  });
});
