import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { describeError, exitCodeOfError } from '../../../../client/cli/failure.js';
import { TemporalUnreachable } from '../../../../client/unreachable.js';
import { HoubaError } from '../../../../domain/errors.js';

describe('the exit code of an error', () => {
  it.each([
    ['a command line that cannot be parsed', new CommanderError(1, 'commander.unknownOption', ''), 64],
    ['an invalid value of an option', new CommanderError(1, 'commander.invalidArgument', ''), 3],
    ['help that was asked for', new CommanderError(0, 'commander.helpDisplayed', ''), 0],
    ['a policy that is wrong', new HoubaError('PolicyInvalid', ''), 1],
    ['a registry that does not answer', new HoubaError('RegistryUnavailable', ''), 2],
    ['a wrong setting', new HoubaError('ConfigInvalid', ''), 3],
    ['a Temporal that cannot be reached', new TemporalUnreachable(''), 69],
    ['a full disk', Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', path: '/home/h' }), 3],
    ['a file that is not there', Object.assign(new Error('ENOENT'), { code: 'ENOENT' }), 4],
    ['anything else', new TypeError('x is not a function'), 4],
    ['what is not even an error', 'text', 4],
  ])('of %s', (_, error, code) => {
    expect(exitCodeOfError(error)).toBe(code);
  });
});

describe('what a person reads of an error', () => {
  it('is its kind, what and where, and what to do next', () => {
    const error = new HoubaError('NotFound', 'docker.io/library/nope is not there', { hint: 'check spec.source' });
    expect(describeError(error, false)).toBe(
      'error: NotFound: docker.io/library/nope is not there\n  hint: check spec.source',
    );
  });

  it('keeps the lines of a list and escapes what could steer a terminal', () => {
    expect(describeError(new HoubaError('PolicyInvalid', 'two mistakes:\n  a\u001b[2J\n  b'), false)).toBe(
      'error: PolicyInvalid: two mistakes:\n  a\\x1b[2J\n  b',
    );
  });

  it.each([
    ['ENOSPC', '/h/stack.json: no space is left'],
    ['EROFS', '/h/stack.json: the file system is read-only'],
    ['EACCES', '/h/stack.json: permission is denied'],
    ['EMFILE', '/h/stack.json: too many files are open'],
  ])('of a machine in trouble (%s) says where and what to do', (code, message) => {
    const error = Object.assign(new Error(`${code}: write`), { code, path: '/h/stack.json' });
    const [first, hint] = describeError(error, false).split('\n');
    expect(first).toBe(`error: MachineFailed: ${message}`);
    expect(hint).toMatch(/^ {2}hint: \w/);
    expect(hint).not.toContain('fault of houba');
  });

  it('says that a fault is ours, and shows the stack only when asked to', () => {
    const error = new Error('outer', { cause: new TypeError('inner') });
    expect(describeError(error, false)).toBe(
      'error: outer\n  hint: this is a fault of houba; HOUBA_LOG_LEVEL=DEBUG shows where it happened',
    );
    expect(describeError(error, true)).toMatch(/error: outer\nError: outer\n +at [\s\S]*TypeError: inner\n +at /);
  });

  it('of a Temporal that cannot be reached says what to check', () => {
    expect(describeError(new TemporalUnreachable('nobody answers'), false)).toMatch(/hint: check TEMPORAL_ADDRESS/);
    expect(describeError(new TemporalUnreachable('nobody answers', { hint: 'wait' }), false)).toMatch(/hint: wait$/);
  });
});
