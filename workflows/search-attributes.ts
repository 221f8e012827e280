import {
  defineSearchAttributeKey,
  type SearchAttributePair,
  type SearchAttributeUpdatePair,
  TypedSearchAttributes,
} from '@temporalio/common';

const POLICY = defineSearchAttributeKey('HoubaPolicy', 'KEYWORD');
const REPOSITORY = defineSearchAttributeKey('HoubaRepository', 'KEYWORD');
const TAG = defineSearchAttributeKey('HoubaTag', 'KEYWORD');
const DIGEST = defineSearchAttributeKey('HoubaDigest', 'KEYWORD');
const OUTCOME = defineSearchAttributeKey('HoubaOutcome', 'KEYWORD');
const PHASE = defineSearchAttributeKey('HoubaPhase', 'KEYWORD');
const DUE_AT = defineSearchAttributeKey('HoubaDueAt', 'DATETIME');
const NEEDS_HUMAN = defineSearchAttributeKey('HoubaNeedsHuman', 'BOOL');

/** What a workflow can be found by in the Temporal UI. No decision reads these. */
export function policyAttributes(policy: string): TypedSearchAttributes {
  return new TypedSearchAttributes([{ key: POLICY, value: policy }]);
}

export function placementAttributes(at: { policy: string; repository: string; tag: string; digest: string }) {
  return new TypedSearchAttributes([
    { key: POLICY, value: at.policy },
    { key: REPOSITORY, value: at.repository },
    { key: TAG, value: at.tag },
    { key: DIGEST, value: at.digest },
  ]);
}

export function waitAttributes(at: {
  readonly policy: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
  readonly phase: string;
  readonly dueAt: Date | null;
  readonly needsHuman: boolean;
}): SearchAttributeUpdatePair[] {
  return [
    { key: POLICY, value: at.policy },
    { key: REPOSITORY, value: at.repository },
    { key: TAG, value: at.tag },
    { key: DIGEST, value: at.digest },
    { key: PHASE, value: at.phase },
    { key: DUE_AT, value: at.dueAt },
    { key: NEEDS_HUMAN, value: at.needsHuman },
  ];
}

export function outcomeAttributes(outcome: string): SearchAttributePair[] {
  return [{ key: OUTCOME, value: outcome }];
}

export function needsHumanAttributes(): SearchAttributePair[] {
  return [{ key: NEEDS_HUMAN, value: true }];
}
