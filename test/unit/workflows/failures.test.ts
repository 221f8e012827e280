import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { describe, expect, it } from 'vitest';
import { failure, reportFailure } from '../../../workflows/failures.js';

/** As a workflow gets it: around the failure of a step, or of a child whose step failed. */
const ofStep = (cause: Error) =>
  new ActivityFailure('Activity task failed', 'publishTag', '3', 'TIMEOUT', 'worker', cause);
const ofChild = (cause: Error) =>
  new ChildWorkflowFailure('default', { workflowId: 'place/x', runId: '1' }, 'placeImage', 'TIMEOUT', cause);

const denied = ApplicationFailure.create({ type: 'Denied', message: 'the registry refuses' });
const timeout = new TimeoutFailure('activity StartToClose timeout', undefined, 'START_TO_CLOSE');

describe('a failure stands in the report as', () => {
  it.each([
    ['what a step said', ofStep(denied), 'Denied', 'the registry refuses', 2],
    ['what a step of a child said', ofChild(ofStep(denied)), 'Denied', 'the registry refuses', 2],
    ['interrupted, when time was up', ofStep(timeout), 'Interrupted', expect.stringContaining('took too long'), 2],
    [
      'interrupted, when it was ended',
      ofChild(new TerminatedFailure('terminated')),
      'Interrupted',
      'it was terminated',
      2,
    ],
    [
      'refused, when another run has it',
      new WorkflowExecutionAlreadyStartedError('taken', 'place/x', 'placeImage'),
      'PreconditionFailed',
      'another run is at work on place/x',
      1,
    ],
    [
      'internal, when it says nothing known',
      ofStep(ApplicationFailure.create({ type: 'X', message: 'odd' })),
      'Internal',
      'odd',
      4,
    ],
    ['internal, when it is a mistake of ours', new TypeError('x is undefined'), 'Internal', 'x is undefined', 4],
    ['internal, when it is no error', 'text', 'Internal', 'text', 4],
  ])('%s', (_, error, type, message, exit_code) => {
    expect(reportFailure(error)).toEqual({ type, message, exit_code });
  });
});

describe('a failure of a workflow', () => {
  it('is as final as one of a step', () => {
    expect(failure('CompensationFailed', 'could not undo')).toMatchObject({
      type: 'CompensationFailed',
      nonRetryable: true,
    });
  });
});
