import { describe, expect, it } from 'vitest';
import { fleetInput } from '../../../../client/fleet-input.js';
import { fleetId } from '../../../../domain/durable/ids.js';
import { formatDuration } from '../../../../domain/duration.js';
import {
  checkSettings,
  formatWhen,
  SCHEDULES,
  scheduleNamed,
  settingsOf,
  type WrittenSettings,
} from '../../../../domain/schedule/schedules.js';

const HOUR_MS = 3_600_000;
const reconcile = scheduleNamed('reconcile');
const gc = SCHEDULES.find(({ name }) => name === 'gc') ?? reconcile;

function read(written: unknown): WrittenSettings {
  const checked = checkSettings(written);
  if ('settings' in checked) return checked.settings;
  throw new Error(JSON.stringify(checked.issues));
}

describe('the table of schedules', () => {
  it('asks reconcile for what a client without policies asks for', () => {
    expect(reconcile.run.input).toEqual(fleetInput(null));
  });

  it("names a scheduled run as a client's runs are named", () => {
    expect(fleetId(new Date(0))).toMatch(new RegExp(`^${reconcile.run.workflowId}-\\d`));
  });

  it.each([
    ['reconcile', 'every 1h', '5m', '1h', false],
    ['audit', '0 1 * * * UTC', '15m', '6h', false],
    ['purge', '0 2 * * * UTC', '15m', '6h', true],
    ['gc', '0 3 * * 0 UTC', '30m', '12h', true],
  ])('runs %s at %s, with jitter %s, catch-up %s, and pauses on failure: %s', (name, when, jitter, catchUp, pauses) => {
    const { defaults } = SCHEDULES.find((row) => row.name === name) as (typeof SCHEDULES)[number];
    expect(formatWhen(defaults.when)).toBe(when);
    expect([defaults.jitterMs, defaults.catchUpMs].map(formatDuration)).toEqual([jitter, catchUp]);
    expect(defaults.pauseOnFailure).toBe(pauses);
  });

  it('pauses what deletes when it fails, and nothing else', () => {
    const pausing = SCHEDULES.filter(({ defaults }) => defaults.pauseOnFailure).map(({ name }) => name);
    expect(pausing).toEqual(['purge', 'gc']);
  });

  it('has names and ids of its own for each', () => {
    expect(new Set(SCHEDULES.map(({ name }) => name)).size).toBe(SCHEDULES.length);
    expect(SCHEDULES.map(({ id }) => id)).toEqual(SCHEDULES.map(({ name }) => `houba-${name}`));
  });
});

describe('a schedule is asked for by name', () => {
  it.each(['reconcile', 'houba-reconcile'])('%s', (name) => {
    expect(scheduleNamed(name).id).toBe('houba-reconcile');
  });

  it.each([
    ['reconsile', 'did you mean reconcile?'],
    ['houba-purg', 'did you mean purge?'],
    ['everything', 'there are: reconcile, audit, purge, gc'],
  ])('%s is unknown, and the hint says: %s', (name, hint) => {
    expect(() => scheduleNamed(name)).toThrowError(
      expect.objectContaining({ code: 'ConfigInvalid', hint: expect.stringContaining(hint) }),
    );
  });
});

describe('settings as somebody writes them', () => {
  it.each([
    [{}, {}],
    [null, {}],
    [{ every: '30m' }, { every: HOUR_MS / 2 }],
    [{ jitter: 0 }, { jitter: 0 }],
    [{ jitter: '0' }, { jitter: 0 }],
    [
      { catchUp: '10s', pauseOnFailure: true },
      { catchUp: 10_000, pauseOnFailure: true },
    ],
    [
      { cron: '0 3 * * 0', timezone: 'Europe/Rome' },
      { cron: '0 3 * * 0', timezone: 'Europe/Rome' },
    ],
    [{ timezone: 'UTC' }, { timezone: 'UTC' }],
    [
      { every: null, cron: null },
      { every: null, cron: null },
    ],
  ])('%j is read', (written, settings) => {
    expect(read(written)).toEqual(settings);
  });

  it.each([
    ['text', null, 'must be a mapping of settings'],
    [{ evry: '1h' }, 'evry', 'is not a setting (did you mean every?)'],
    [{ catchup: '1h' }, 'catchup', 'did you mean catchUp?'],
    [{ overlap: 'SKIP' }, 'overlap', 'known: every, cron, timezone, jitter, catchUp, pauseOnFailure'],
    [{ every: '1 h' }, 'every', 'must be a duration such as 90s, 30m, 6h or 1d, at least 1s'],
    [{ every: 0 }, 'every', 'at least 1s'],
    [{ every: 60 }, 'every', 'must be a duration'],
    [{ jitter: '-5m' }, 'jitter', 'must be a duration'],
    [{ catchUp: '9s' }, 'catchUp', 'at least 10s'],
    [{ cron: '0 25 * * *' }, 'cron', 'has "25" for the hour'],
    [{ cron: 5 }, 'cron', 'must be text, in quotes'],
    [{ timezone: 'Europe/Rom' }, 'timezone', 'did you mean Europe/Rome?'],
    [{ timezone: 'europe/rome' }, 'timezone', 'did you mean Europe/Rome?'],
    [{ timezone: '+01:00' }, 'timezone', 'is not the name of a time zone'],
    [{ timezone: 'Nowhere/AtAllOrElsewhere' }, 'timezone', 'as in Europe/Rome or UTC'],
    [{ timezone: 1 }, 'timezone', 'must be text'],
    [{ pauseOnFailure: 'yes' }, 'pauseOnFailure', 'must be true or false'],
    [{ every: '1h', cron: '@daily' }, 'cron', 'does not go together with every'],
  ])('%j is refused at %s: %s', (written, key, message) => {
    const { issues } = checkSettings(written);
    expect(issues).toEqual([{ key, message: expect.stringContaining(message) }]);
  });

  it('are refused with everything that is wrong at once', () => {
    const { issues } = checkSettings({ evry: '1h', jiter: '1m', catchUp: 'soon' });
    expect(issues.map(({ key }) => key).sort()).toEqual(['catchUp', 'evry', 'jiter']);
  });
});

describe('the settings of a schedule', () => {
  it('are its defaults where nothing is written', () => {
    expect(settingsOf(reconcile)).toEqual({
      when: { everyMs: HOUR_MS },
      jitterMs: 300_000,
      catchUpMs: HOUR_MS,
      pauseOnFailure: false,
    });
  });

  it('are those of the later layer, key by key', () => {
    const layers = [read({ every: '30m', jitter: '1m' }), read({ jitter: 0, pauseOnFailure: true })];
    expect(settingsOf(reconcile, ...layers)).toMatchObject({
      when: { everyMs: HOUR_MS / 2 },
      jitterMs: 0,
      pauseOnFailure: true,
    });
  });

  it('hold either an interval or a cron, whichever was written last', () => {
    const cron = read({ cron: '30 4 * * *', timezone: 'Europe/Rome' });
    const every = read({ every: '2h' });
    expect(settingsOf(reconcile, cron, every).when).toEqual({ everyMs: 2 * HOUR_MS });
    expect(settingsOf(reconcile, every, cron).when).toEqual({ cron: '30 4 * * *', timezone: 'Europe/Rome' });
    expect(settingsOf(reconcile, read({ cron: '30 4 * * *' })).when).toMatchObject({ timezone: 'UTC' });
    expect(settingsOf(reconcile, cron, read({ cron: '0 5 * * *' })).when).toMatchObject({ timezone: 'Europe/Rome' });
  });

  it('take a time zone for a cron of the defaults, and refuse one for an interval', () => {
    const zone = read({ timezone: 'Europe/Rome' });
    expect(formatWhen(settingsOf(gc, zone).when)).toBe('0 3 * * 0 Europe/Rome');
    expect(() => settingsOf(reconcile, zone)).toThrowError(
      expect.objectContaining({ code: 'ConfigInvalid', message: expect.stringContaining('it runs every 1h') }),
    );
  });

  it('are told by the times that they name', () => {
    expect(formatWhen({ everyMs: 90_000 })).toBe('every 90s');
    expect(formatWhen({ cron: '0,30 0-23 * * *', timezone: 'UTC' })).toBe('0,30 * * * * UTC');
  });
});
