import { type DocumentIssue, type PolicyIssue, PolicySetInvalid } from '../domain/policy/issues.js';
import { repositoryClashes } from '../domain/policy/ownership.js';
import { resolvePolicy } from '../domain/policy/resolve.js';
import type { MirrorPolicy } from '../domain/policy/schema.js';
import { compareText } from '../domain/text/compare-text.js';
import { aboutFile, parsePolicy, type ReadPolicy } from './policy-files/document.js';
import { findPolicyFiles, readPolicyText } from './policy-files/find.js';

interface PolicyFile {
  readonly file: string;
  readonly policy: MirrorPolicy;
}

/** Most issues reported of one file. */
const MOST_ISSUES = 100;

/**
 * Reads a file, or the `.yml` and `.yaml` below a folder (docs/rules/policy.md#nothing-to-read-is-an-error). @param
 * more finds further mistakes in a policy. @throws HoubaError `ConfigInvalid` when there is none; PolicySetInvalid with
 * file, line and column of every mistake
 */
export async function readPolicyFiles(
  path: string,
  more: (policy: MirrorPolicy, locate: ReadPolicy['locate']) => readonly DocumentIssue[] = () => [],
): Promise<PolicyFile[]> {
  const files = await findPolicyFiles(path);
  const read: ReadPolicy[] = [];
  const issues: PolicyIssue[] = [];
  for (const file of files) {
    const outcome = await readPolicy(file, path);
    issues.push(...withoutRepeats(outcome.issues).slice(0, MOST_ISSUES));
    if ('locate' in outcome) read.push(outcome);
  }
  issues.push(...sharedNames(read), ...sharedRepositories(read));
  issues.push(...read.flatMap(({ policy, locate }) => (policy === null ? [] : more(policy, locate).map(locate))));
  if (issues.length > 0) throw new PolicySetInvalid(issues.sort(byPlace));
  return read.flatMap(({ file, policy }) => (policy === null ? [] : [{ file, policy }]));
}

async function readPolicy(
  file: string,
  root: string,
): Promise<ReadPolicy | { readonly issues: readonly PolicyIssue[] }> {
  let text: string;
  try {
    text = await readPolicyText(file, root);
  } catch (error) {
    return { issues: [aboutFile(file, error instanceof Error ? error.message : String(error))] };
  }
  return parsePolicy(file, text);
}

/** Finds names that two policies share: a name is the key of ownership, shards and workflow ids. */
function sharedNames(read: readonly ReadPolicy[]): PolicyIssue[] {
  const first = new Map<string, string>();
  return read.flatMap(({ file, name, locate }) => {
    if (name === null) return [];
    const other = first.get(name);
    if (other === undefined) {
      first.set(name, file);
      return [];
    }
    const message = `two policies are named ${JSON.stringify(name)}: this one and the one in ${other}`;
    return [locate({ path: ['metadata', 'name'], atKey: false, message, hint: null, missing: false })];
  });
}

/** Finds shared repositories without the roster (docs/rules/policy.md#a-repository-belongs-to-one-policy). */
function sharedRepositories(read: readonly ReadPolicy[]): PolicyIssue[] {
  const entries = read.flatMap((source) => {
    if (source.policy === null) return [];
    const { name, imports } = resolvePolicy(source.policy);
    return imports.flatMap(({ destinations }) =>
      destinations.map(({ registry, project, repository }) => ({
        source,
        policy: name,
        repository: [registry ?? '(the one registry)', project, repository].join('/'),
      })),
    );
  });
  return repositoryClashes(entries).flatMap(({ repository }) => {
    const claims = entries.filter((entry) => entry.repository === repository);
    const [owner, ...others] = claims.filter(({ policy }, index) => {
      return claims.findIndex((claim) => claim.policy === policy) === index;
    });
    if (owner === undefined) return [];
    const message = `the repository ${repository} is also a destination of the policy ${owner.policy} in ${owner.source.file}`;
    return others.map(({ source }) =>
      source.locate({
        path: ['spec', 'imports'],
        atKey: true,
        message,
        hint: 'a destination repository belongs to one policy',
        missing: false,
      }),
    );
  });
}

function withoutRepeats(issues: readonly PolicyIssue[]): PolicyIssue[] {
  return [...new Map(issues.map((issue) => [`${issue.line}:${issue.column}:${issue.message}`, issue])).values()];
}

function byPlace(a: PolicyIssue, b: PolicyIssue): number {
  return compareText(a.file, b.file) || a.line - b.line || a.column - b.column;
}
