import { defineSearchAttributeKey, type SearchAttributePair, TypedSearchAttributes } from '@temporalio/common';

const POLICY = defineSearchAttributeKey('HoubaPolicy', 'KEYWORD');
const REPOSITORY = defineSearchAttributeKey('HoubaRepository', 'KEYWORD');
const TAG = defineSearchAttributeKey('HoubaTag', 'KEYWORD');
const DIGEST = defineSearchAttributeKey('HoubaDigest', 'KEYWORD');
const OUTCOME = defineSearchAttributeKey('HoubaOutcome', 'KEYWORD');
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

export function outcomeAttributes(outcome: string): SearchAttributePair[] {
  return [{ key: OUTCOME, value: outcome }];
}

export function needsHumanAttributes(): SearchAttributePair[] {
  return [{ key: NEEDS_HUMAN, value: true }];
}
