import {
  defineSearchAttributeKey,
  type SearchAttributePair,
  type SearchAttributeUpdatePair,
  TypedSearchAttributes,
} from '@temporalio/common';
import { SEARCH_ATTRIBUTES } from '../domain/durable/names.js';

const POLICY = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.policy);
const REPOSITORY = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.repository);
const TAG = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.tag);
const DIGEST = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.digest);
const OUTCOME = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.outcome);
const PHASE = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.phase);
const DUE_AT = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.dueAt);
const NEEDS_HUMAN = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.needsHuman);

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
