import { describe, expect, it } from 'vitest';
import { shownSettings } from '../../../../../client/cli/verbs/config.js';
import { loadSettings } from '../../../../../config/settings.js';

const PASSWORD = 'correct-horse-battery';

const environment = {
  HOUBA_HOME: '/var/lib/houba',
  HOUBA_LABEL_PREFIX: '',
  HOUBA_REGISTRIES: JSON.stringify({ main: { host: 'r.io/acme', username: 'robot', password: PASSWORD } }),
  TEMPORAL_ADDRESS: 'temporal.example:7233',
  TEMPORAL_API_KEY: PASSWORD,
  HTTPS_PROXY: `http://me:${PASSWORD}@proxy:3128`,
};
const shown = shownSettings(loadSettings(environment), environment);
const byName = new Map(shown.map((setting) => [setting.name, setting]));

describe('config show', () => {
  it('tells every value and where it comes from', () => {
    expect(byName.get('HOUBA_LABEL_PREFIX')).toMatchObject({ value: '', origin: 'environment' });
    expect(byName.get('HOUBA_MAX_CONCURRENCY')).toMatchObject({ value: '4', origin: 'default' });
    expect(byName.get('HOUBA_RETENTION')).toMatchObject({ value: null, origin: 'default' });
    expect(byName.get('HOUBA_HOME')).toMatchObject({ value: '/var/lib/houba' });
    expect(byName.get('TEMPORAL_ADDRESS')).toMatchObject({ value: 'temporal.example:7233', origin: 'environment' });
    expect(byName.has('TEMPORAL_NAMESPACE')).toBe(false);
  });

  it('masks every secret', () => {
    expect(JSON.stringify(shown)).not.toContain('horse');
    expect(byName.get('HOUBA_REGISTRIES')?.value).toBe(
      '{"main":{"host":"r.io/acme","username":"robot","password":"***","tls_verify":true}}',
    );
    expect(byName.get('TEMPORAL_API_KEY')?.value).toBe('***');
    expect(byName.get('HTTPS_PROXY')?.value).toBe('http://***@proxy:3128');
  });
});
