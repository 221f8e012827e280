import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeDifference, loadSettings, publicSettings } from '../../../config/settings.js';
import { VARIABLES } from '../../../config/variables.js';
import { HoubaError } from '../../../domain/errors.js';

const HOME = { HOME: '/home/someone', HOUBA_HOME: '/var/lib/houba' };
const PASSWORD = 'correct-horse-battery';

function settingsOf(environment: Record<string, string>) {
  return loadSettings({ ...HOME, ...environment }).settings;
}

function problemsOf(environment: Record<string, string>): string {
  try {
    loadSettings({ ...HOME, ...environment });
  } catch (error) {
    if (!(error instanceof HoubaError)) throw error;
    expect(error.code).toBe('ConfigInvalid');
    return error.message;
  }
  throw new Error('nothing was refused');
}

function roster(entry: Record<string, unknown>): Record<string, string> {
  return { HOUBA_REGISTRIES: JSON.stringify({ main: entry }) };
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-settings-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('defaults', () => {
  it('are the documented ones', () => {
    const { settings, origins, warnings } = loadSettings(HOME);
    expect(settings).toMatchObject({
      prefix: 'io.houba',
      registries: new Map(),
      logFormat: 'text',
      logLevel: 'info',
      dryRunTags: false,
      dryRunDeletions: false,
      deletionMode: 'mark',
      maxDeletionShare: 0.5,
      stability: { windowMs: 604_800_000, maxWaitMs: 2_419_200_000, newTags: false },
      retention: null,
      purgeMinIdleMs: null,
      usageOracle: { command: null, timeoutMs: 30_000 },
      workDir: '/tmp/houba-work',
      caCerts: {},
      packageMirrors: {},
      buildPlatform: 'linux/amd64',
      sbomFormats: ['spdx-json'],
      maxConcurrency: 4,
      attest: { signer: '', keyRef: '' },
      policyDir: null,
      home: '/var/lib/houba',
      temporal: { address: null, namespace: 'default', connection: null },
      dockerConfigDir: '/home/someone/.docker',
      authFiles: [],
    });
    expect(origins.get('HOUBA_LABEL_PREFIX')).toBe('default');
    expect(warnings).toEqual([]);
  });

  it('hold when a variable is set to nothing, but for the prefix, where nothing means none', () => {
    expect(settingsOf({ HOUBA_MAX_CONCURRENCY: '', HOUBA_RETENTION: '', HOUBA_REGISTRIES: '' })).toMatchObject({
      maxConcurrency: 4,
      retention: null,
    });
    expect(settingsOf({ HOUBA_LABEL_PREFIX: '' }).prefix).toBe('');
  });
});

describe('precedence', () => {
  it('is flag, then environment, then default', () => {
    const environment = { ...HOME, HOUBA_MAX_CONCURRENCY: '8', HOUBA_LOG_FORMAT: 'json' };
    const { settings, origins } = loadSettings(environment, { maxConcurrency: '16' });
    expect(settings.maxConcurrency).toBe(16);
    expect(settings.logFormat).toBe('json');
    expect(origins.get('HOUBA_MAX_CONCURRENCY')).toBe('flag');
    expect(origins.get('HOUBA_LOG_FORMAT')).toBe('environment');
    expect(origins.get('HOUBA_LOG_LEVEL')).toBe('default');
  });
});

describe('values', () => {
  it.each([
    ['HOUBA_DRY_RUN_TAGS', 'Yes', { dryRunTags: true }],
    ['HOUBA_DRY_RUN_TAGS', '1', { dryRunTags: true }],
    ['HOUBA_DRY_RUN_DELETIONS', 'on', { dryRunDeletions: true }],
    ['HOUBA_DRY_RUN_DELETIONS', 'off', { dryRunDeletions: false }],
    ['HOUBA_LOG_LEVEL', 'WARNING', { logLevel: 'warn' }],
    ['HOUBA_LOG_LEVEL', 'debug', { logLevel: 'debug' }],
    ['HOUBA_DELETION_MODE', 'purge', { deletionMode: 'purge' }],
    ['HOUBA_MAX_DELETION_SHARE', '0', { maxDeletionShare: 0 }],
    ['HOUBA_STABILITY', '{"window":"36h"}', { stability: { windowMs: 129_600_000, maxWaitMs: 2_419_200_000 } }],
    ['HOUBA_STABILITY', '{"window":0,"newTags":true}', { stability: { windowMs: 0, newTags: true } }],
    ['HOUBA_RETENTION', '{"keep":3}', { retention: { keep: 3, olderThanDays: null } }],
    ['HOUBA_PURGE_MIN_IDLE', '36h', { purgeMinIdleMs: 129_600_000 }],
    ['HOUBA_PURGE_REQUIRE_APPROVAL', 'yes', { purgeRequireApproval: true }],
    ['HOUBA_PURGE_MIN_IDLE_DAYS', '2', { purgeMinIdleMs: 172_800_000 }],
    ['HOUBA_SBOM_FORMATS', '["cyclonedx-json","cyclonedx-json"]', { sbomFormats: ['cyclonedx-json'] }],
    ['HOUBA_USAGE_ORACLE_TIMEOUT', '5', { usageOracle: { timeoutMs: 5000 } }],
    ['HOUBA_SBOM_MAX_GIB', '2', { sbomMostDisk: 2_147_483_648 }],
    ['HOUBA_VERIFY_KMS', '["awskms:///"]', { verifyKms: ['awskms:///'] }],
    ['HOUBA_BUILD_PLATFORM', 'linux/arm/v7', { buildPlatform: 'linux/arm/v7' }],
    ['HOUBA_TRANSFORM_CA_CERTS', '{"corp":{"path":"/x.pem"}}', { caCerts: { corp: { path: '/x.pem' } } }],
    [
      'HOUBA_TRANSFORM_PACKAGE_MIRRORS',
      '{"in":{"apt":"http://m"}}',
      { packageMirrors: { in: { apt: 'http://m', apk: null } } },
    ],
    ['POLICY_DIR', '/policies', { policyDir: '/policies' }],
    ['DOCKER_CONFIG', '/cfg', { dockerConfigDir: '/cfg' }],
    ['XDG_RUNTIME_DIR', '/run/user/1', { authFiles: ['/run/user/1/containers/auth.json'] }],
    ['REGISTRY_AUTH_FILE', '/auth.json', { authFiles: ['/auth.json'] }],
  ])('%s=%s', (name, text, expected) => {
    expect(settingsOf({ [name]: text })).toMatchObject(expected);
  });

  it.each([
    ['HOUBA_DRY_RUN_TAGS', 'perhaps', 'must be true or false'],
    ['HOUBA_LOG_FORMAT', 'xml', 'must be one of: text, json'],
    ['HOUBA_MAX_CONCURRENCY', '0', 'at least 1'],
    ['HOUBA_MAX_CONCURRENCY', '4.5', 'at least 1'],
    ['HOUBA_MAX_DELETION_SHARE', '1.1', 'from 0 to 1'],
    ['HOUBA_MAX_DELETION_SHARE', ' ', 'from 0 to 1'],
    ['HOUBA_STABILITY', '{"windows":"7d"}', 'did you mean window?'],
    ['HOUBA_STABILITY', '{"window":"a week"}', 'must be a duration'],
    ['HOUBA_RETENTION', '{"keep":-1}', 'keep'],
    ['HOUBA_PURGE_MIN_IDLE', 'soon', 'must be a duration'],
    ['HOUBA_PURGE_MIN_IDLE', '0', 'must not be 0'],
    ['HOUBA_PURGE_MIN_IDLE', '0s', 'must not be 0'],
    ['HOUBA_PURGE_REQUIRE_APPROVAL', 'maybe', 'must be true or false'],
    ['HOUBA_SBOM_FORMATS', '[]', 'at least one'],
    ['HOUBA_SBOM_FORMATS', '["syft-json"]', 'must be one of: spdx-json, cyclonedx-json'],
    ['HOUBA_LABEL_PREFIX', 'io houba', 'reversed domain name'],
    ['HOUBA_LABEL_PREFIX', 'org.opencontainers.image', 'reserved'],
    ['HOUBA_TRANSFORM_CA_CERTS', '{"corp":{"path":"/x","pem":"y"}}', 'exactly one'],
    ['HOUBA_TRANSFORM_PACKAGE_MIRRORS', '{"in":{}}', 'needs apt or apk'],
    ['HOUBA_VERIFY_KMS', '["awskms"]', 'must be addresses of keys'],
    ['HOUBA_BUILD_PLATFORM', 'amd64', 'must be a platform'],
    ['HOUBA_ATTEST_SIGNER', 'gpg', 'must be one of: (empty), keyless, kms, key'],
    ['HOUBA_ATTEST_SIGNER', 'kms', 'HOUBA_ATTEST_KEY_REF: is needed'],
  ])('%s=%s is refused, and the message names it', (name, text, message) => {
    const problems = problemsOf({ [name]: text });
    expect(problems).toContain(message);
    expect(problems).toContain('HOUBA_');
  });

  it('both forms of the idle window at once are refused', () => {
    expect(problemsOf({ HOUBA_PURGE_MIN_IDLE: '1d', HOUBA_PURGE_MIN_IDLE_DAYS: '1' })).toContain('not both');
  });

  it('all mistakes are told at once', () => {
    const problems = problemsOf({ HOUBA_MAX_CONCURRENCY: 'x', HOUBA_LOG_FORMAT: 'x', HOUBA_REGISTRIES: '{"a":{}}' });
    expect(problems).toContain('3 settings are invalid');
    for (const name of ['HOUBA_MAX_CONCURRENCY', 'HOUBA_LOG_FORMAT', 'HOUBA_REGISTRIES: a.host']) {
      expect(problems).toContain(name);
    }
  });
});

describe('the roster', () => {
  it('splits a namespace from the host', () => {
    const { registries } = settingsOf(roster({ host: 'ghcr.io/acme/cache', username: 'u', password: PASSWORD }));
    expect(registries.get('main')).toEqual({
      name: 'main',
      host: 'ghcr.io',
      namespace: 'acme/cache',
      tlsVerify: true,
      deletionMode: null,
      sourceOnly: false,
      username: 'u',
      password: PASSWORD,
      caCert: null,
    });
  });

  it('takes a certificate that is there, and makes its path absolute', () => {
    const path = join(folder, 'ca.pem');
    writeFileSync(path, '-----BEGIN CERTIFICATE-----\n');
    const { registries } = settingsOf(roster({ host: 'r.example:5000', ca_cert: path, deletion_mode: 'purge' }));
    expect(registries.get('main')).toMatchObject({ host: 'r.example:5000', caCert: path, deletionMode: 'purge' });
  });

  it('says which entries are only sources', () => {
    const { registries, shown } = settingsOf(roster({ host: 'hub.example', source_only: true }));
    expect(registries.get('main')).toMatchObject({ sourceOnly: true, deletionMode: null });
    expect(shown.HOUBA_REGISTRIES).toContain('"source_only":true');
  });

  it.each([
    [{ host: 'https://ghcr.io' }, 'main.host'],
    [{ host: 'ghcr.io/' }, 'main.host'],
    [{ host: '/ghcr.io' }, 'main.host'],
    [{ host: 'ghcr.io//acme' }, 'main.host'],
    [{ host: 'ghcr.io/ac me' }, 'main.host'],
    [{}, 'main.host'],
    [{ host: 'r.io', username: 'u' }, 'main.password username and password go together'],
    [{ host: 'r.io', password: PASSWORD }, 'main.username username and password go together'],
    [{ host: 'r.io', tls_verfy: false }, 'did you mean tls_verify?'],
    [{ host: 'r.io', tls_verify: 'no' }, 'main.tls_verify'],
    [{ host: 'r.io', deletion_mode: 'burn' }, 'main.deletion_mode'],
    [{ host: 'r.io', source_only: 'yes' }, 'main.source_only'],
    [{ host: 'r.io', source_only: true, deletion_mode: 'purge' }, 'main.deletion_mode has no use with source_only'],
    [{ host: 'r.io', ca_cert: '/nowhere/ca.pem' }, '/nowhere/ca.pem cannot be read (ENOENT)'],
    [{ host: 'r.io', ca_cert: '/dev/null' }, 'holds no certificate'],
    [{ host: 'r.io', ca_cert: '/dev/null', tls_verify: false }, 'plain HTTP'],
  ])('%j is refused', (entry, message) => {
    expect(problemsOf(roster(entry))).toContain(message);
  });

  it.each([`{"main": {"host": "r.io", "password": "${PASSWORD}" `, `"${PASSWORD}"`, `{"main": "${PASSWORD}"}`])(
    'a mistake never repeats what may be a password: %s',
    (text) => {
      expect(problemsOf({ HOUBA_REGISTRIES: text })).not.toContain('horse');
    },
  );

  it('takes __proto__ as just a name', () => {
    settingsOf({ HOUBA_REGISTRIES: '{"__proto__": {"host": "evil.example"}}' });
    expect(({} as Record<string, unknown>).host).toBeUndefined();
  });
});

describe('a misspelt variable', () => {
  it.each([
    ['HOUBA_REGISTRY', 'did you mean HOUBA_REGISTRIES?'],
    ['HOUBA_MAX_CONCURENCY', 'did you mean HOUBA_MAX_CONCURRENCY?'],
    ['HOUBA_QQQQQQQQQQQQQQQQQQQQ', 'houba config show'],
  ])('%s gets a warning', (name, advice) => {
    expect(loadSettings({ ...HOME, [name]: 'x' }).warnings).toEqual([
      expect.stringMatching(new RegExp(`^${name} is not a variable of houba; .*${advice.replace('?', '\\?')}`)),
    ]);
  });

  it('is not what other programs of a checkout read: an earlier scan queue, the set-up of tools', () => {
    expect(
      loadSettings({ ...HOME, HOUBA_SCAN_REDIS: '{}', HOUBA_SCAN_TOKEN_PATH: 'x', HOUBA_TOOLS_MIRROR: 'none' })
        .warnings,
    ).toEqual([]);
  });

  it('warns of an idle window of less than a day', () => {
    const warnings = (window: string) => loadSettings({ ...HOME, HOUBA_PURGE_MIN_IDLE: window }).warnings;
    expect(warnings('20s')).toEqual([expect.stringContaining('HOUBA_PURGE_MIN_IDLE is 20s')]);
    expect([warnings('1d'), warnings('24h')]).toEqual([[], []]);
  });

  it('hands the oracle its own variables and no others', () => {
    const { usageOracle } = loadSettings({
      ...HOME,
      ...{ USAGE_ORACLE_TOKEN: 'secret', USAGE_ORACLE_EMPTY: '', MY_USAGE_ORACLE_X: 'x', COSIGN_PASSWORD: 'p' },
    }).settings;
    expect(usageOracle).toEqual({ command: null, timeoutMs: 30_000, variables: { USAGE_ORACLE_TOKEN: 'secret' } });
  });
});

describe('what a running stack and a command must agree on', () => {
  const base = roster({ host: 'r.io', username: 'u', password: PASSWORD });

  it('holds no secret', () => {
    const text = JSON.stringify([publicSettings(settingsOf(base)), settingsOf(base).shown]);
    expect(text).not.toContain('horse');
    expect(text).toContain('r.io');
  });

  it('is equal for equal values, however they are written', () => {
    const one = settingsOf({ ...base, HOUBA_DRY_RUN_TAGS: 'true', HOUBA_STABILITY: '{"window":"7d"}' });
    const two = settingsOf({ ...base, HOUBA_DRY_RUN_TAGS: 'yes', HOUBA_STABILITY: '{"window": "168h"}' });
    expect(describeDifference(publicSettings(one), publicSettings(two))).toEqual([]);
  });

  it('does not include logging, the folder, Temporal or the password', () => {
    const other = settingsOf({
      ...roster({ host: 'r.io', username: 'u', password: 'another' }),
      HOUBA_LOG_LEVEL: 'DEBUG',
      HOUBA_LOG_FORMAT: 'json',
      HOUBA_HOME: '/elsewhere',
      TEMPORAL_ADDRESS: 'localhost:7233',
    });
    expect(publicSettings(other)).toEqual(publicSettings(settingsOf(base)));
  });

  it('includes the roster and the rest, and a difference can be named', () => {
    const other = settingsOf({ ...base, HOUBA_LABEL_PREFIX: 'org.acme', HOUBA_RETENTION: '{"keep":1}' });
    expect(describeDifference(publicSettings(settingsOf(base)), publicSettings(other))).toEqual([
      'HOUBA_LABEL_PREFIX is io.houba there and org.acme here',
      'HOUBA_RETENTION is (unset) there and {"keep":1,"olderThanDays":null} here',
    ]);
  });
});

describe('Temporal', () => {
  it('is embedded when neither an address nor a profile is named', () => {
    expect(settingsOf({ TEMPORAL_NAMESPACE: 'other' }).temporal.address).toBeNull();
  });

  it('is reached in plain text on this machine', () => {
    expect(settingsOf({ TEMPORAL_ADDRESS: '127.0.0.1:7233', TEMPORAL_NAMESPACE: 'n' }).temporal).toMatchObject({
      address: '127.0.0.1:7233',
      namespace: 'n',
    });
  });

  it('elsewhere needs TLS, or a word that it does not', () => {
    expect(problemsOf({ TEMPORAL_ADDRESS: 'temporal.example:7233' })).toContain('TEMPORAL_TLS=false to allow it');
    const plain = settingsOf({ TEMPORAL_ADDRESS: 'temporal.example:7233', TEMPORAL_TLS: 'false' });
    expect(plain.temporal.connection?.tls).toBe(false);
    const encrypted = settingsOf({ TEMPORAL_ADDRESS: 'temporal.example:7233', TEMPORAL_TLS: 'true' });
    expect(encrypted.temporal.connection?.tls).toBeTruthy();
  });

  it('gets an API key over TLS only', () => {
    const environment = { TEMPORAL_ADDRESS: 'temporal.example:7233', TEMPORAL_API_KEY: PASSWORD };
    expect(settingsOf(environment).temporal.connection).toMatchObject({ apiKey: PASSWORD, tls: true });
    const problems = problemsOf({ ...environment, TEMPORAL_TLS: 'false' });
    expect(problems).toContain('not sent in plain text');
    expect(problems).not.toContain('horse');
  });

  it('reads a profile of temporal.toml', () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.prod]\naddress = "localhost:9999"\nnamespace = "images"\n');
    const named = { TEMPORAL_CONFIG_FILE: file, TEMPORAL_PROFILE: 'prod' };
    expect(settingsOf(named).temporal).toMatchObject({ address: 'localhost:9999', namespace: 'images' });
    expect(problemsOf({ ...named, TEMPORAL_PROFILE: 'none' })).toContain('TEMPORAL_PROFILE');
  });
});

describe('the table of variables', () => {
  it('has names without repetition, a sentence for each, and defaults that can be read', () => {
    const names = Object.values(VARIABLES).map((variable) => variable.name);
    expect(new Set(names).size).toBe(names.length);
    for (const variable of Object.values(VARIABLES)) {
      expect(variable.doc).toMatch(/\.$/);
      if (variable.default !== null) expect(variable.schema.safeParse(variable.default).success).toBe(true);
    }
  });
});
