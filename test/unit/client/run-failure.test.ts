import { ServiceError, WorkflowFailedError } from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { explainFailure } from '../../../client/run-failure.js';
import { TemporalUnreachable } from '../../../client/unreachable.js';
import { HoubaError } from '../../../domain/errors.js';

function failed(cause: Error | undefined) {
  return new WorkflowFailedError('Workflow execution failed', cause, 'MAXIMUM_ATTEMPTS_REACHED');
}

function grpcError(code: number) {
  return Object.assign(new Error('14 UNAVAILABLE'), { code, details: '', metadata: {} });
}

describe('a run that failed', () => {
  it.each([
    [
      'by a step',
      ApplicationFailure.create({ type: 'PolicyInvalid', message: 'two owners' }),
      'PolicyInvalid',
      'two owners',
    ],
    ['by being cancelled', new CancelledFailure('x'), 'Interrupted', 'run-1 was cancelled'],
    ['by being terminated', new TerminatedFailure('x'), 'Interrupted', 'run-1 was terminated'],
    [
      'by taking too long',
      new TimeoutFailure('x', undefined, 'START_TO_CLOSE'),
      'Interrupted',
      'run-1 ran out of time',
    ],
    [
      'by a kind nobody knows',
      ApplicationFailure.create({ type: 'Strange', message: 'odd' }),
      'Internal',
      'run-1 failed: odd',
    ],
    ['without a reason', undefined, 'Internal', 'run-1 failed: no reason given'],
  ])('%s says so in our words', (_, cause, code, message) => {
    expect(explainFailure(failed(cause), 'run-1')).toMatchObject({ name: 'HoubaError', code, message });
  });
});

describe('a call that failed', () => {
  it('for want of the run says where to look', () => {
    expect(explainFailure(new WorkflowNotFoundError('x', 'run-1', undefined), 'run-1')).toMatchObject({
      code: 'NotFound',
      hint: expect.stringContaining('houba status'),
    });
  });

  it.each([
    ['nobody answered', new ServiceError('failed', { cause: grpcError(14) })],
    ['nobody answered in time', new ServiceError('failed', { cause: grpcError(4) })],
    ['the first connection could not be made', new Error('Failed to connect before the deadline')],
    ['the native core could not connect', Object.assign(new Error('x'), { name: 'TransportError' })],
  ])('because %s is Temporal being unreachable', (_, error) => {
    expect(explainFailure(error, 'run-1')).toBeInstanceOf(TemporalUnreachable);
  });

  it('for another reason is passed on', () => {
    const denied = new ServiceError('failed', { cause: grpcError(7) });
    expect(explainFailure(denied, 'run-1')).toBe(denied);
    const own = new HoubaError('ConfigInvalid', 'x');
    expect(explainFailure(own, 'run-1')).toBe(own);
  });
});
