import { orderOf } from './order.js';
import type { TagDecision, TagSelection } from './select.js';
import type { TagVersion } from './tag-version.js';

/** Says why each tag is in or out; null: the policy writes no setting that needs it. */
export function explainDecisions(
  selection: TagSelection,
  decisions: ReadonlyMap<string, TagDecision>,
): Record<string, string> | null {
  const { finalsOnly = false, semverRange = null, newest = null } = selection;
  const order = orderOf(selection);
  const name = order.name === 'helm' ? 'semver' : order.name;
  if (name === 'semver' && !finalsOnly && semverRange === null && newest === null) return null;
  const names = new Set(selection.names);
  const reasons = new Map<string, string>();
  for (const [tag, decision] of decisions) {
    const version = order.read(tag);
    if (decision.rule === null && names.has(tag)) reasons.set(tag, 'is in names');
    else if (decision.rule === null) reasons.set(tag, whyIn(selection, version, decision));
    else {
      const why = whyOut(selection, name, version, decision);
      if (why !== null) reasons.set(tag, why);
    }
  }
  return Object.fromEntries(reasons);
}

function whyIn(selection: TagSelection, version: TagVersion | null, { place }: TagDecision): string {
  if (version === null) return 'has no version';
  return [
    describe(version),
    ...(selection.finalsOnly === true ? ['final'] : []),
    ...(selection.semverRange == null ? [] : [`in ${selection.semverRange}`]),
    ...(place === undefined ? [] : [`number ${place} of the newest ${selection.newest}`]),
  ].join(', ');
}

function whyOut(
  selection: TagSelection,
  order: string,
  version: TagVersion | null,
  { rule, place }: TagDecision,
): string | null {
  const isOfVersions = rule === 'semverOnly' || rule === 'finalsOnly' || rule === 'semverRange' || rule === 'newest';
  if (!isOfVersions) return null;
  if (version === null) return `order ${order} reads no version in it`;
  if (rule === 'finalsOnly') return `${describe(version)} is no final`;
  if (rule === 'semverRange') return `${describe(version)} is not in ${selection.semverRange}`;
  return `${describe(version)} is number ${place}, the newest ${selection.newest} are taken`;
}

function describe({ numbers, written = numbers, prerelease, build, flavour }: TagVersion): string {
  return [
    `version ${written.filter((number) => number !== '').join('.')}`,
    ...(prerelease === null ? [] : [`pre-release ${prerelease}`]),
    ...(build === '' ? [] : [`build ${build}`]),
    ...(flavour === '' ? [] : [`flavour ${flavour}`]),
  ].join(' ');
}
