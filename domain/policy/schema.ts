import { z } from 'zod';
import { DURATION, durationMs } from '../duration.js';
import { HoubaError } from '../errors.js';
import { isHost, isTag, parseRepository } from '../reference.js';
import { ALIAS_TEMPLATE } from '../selection/aliases.js';
import { compilePattern, LONGEST_PATTERN } from '../selection/pattern.js';
import { rangeProblem } from '../selection/semver-range.js';
import { ORDER_NAMES } from '../selection/tag-version.js';

/*
 * The MirrorPolicy document as its author writes it; nothing is filled in
 * (docs/rules/policy.md#presence-decides-the-merge). Rules over several fields stand in check.ts.
 */

/** Text that ends up in stamps, reports and workflow ids. */
function line(longest: number) {
  const shape = new RegExp(`^(?!\\s)[^\\u0000-\\u001f\\u007f]{1,${longest}}(?<!\\s)$`);
  return z.string().regex(shape, `must be one line of 1 to ${longest} characters, without spaces around it`);
}

const Pattern = z
  .string()
  .min(1, 'must not be empty; leave the key out to match every tag')
  .max(LONGEST_PATTERN, { abort: true })
  .superRefine((source, context) => {
    try {
      compilePattern(source);
    } catch (error) {
      if (!(error instanceof HoubaError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, params: { hint: error.hint } });
    }
  });

const Tag = z.string().refine(isTag, 'is not a tag: letters, digits, _ . and -, at most 128, not starting with . or -');

const AliasTemplate = z
  .string()
  .max(200)
  .regex(ALIAS_TEMPLATE, 'is not an alias: tag characters and placeholders such as {major} or {flavour}');

const DURATION_RULE = 'must be a whole number and d, h, m or s, as in 7d, 36h, 30m or 20s, or 0 (at most 36500d)';

const Duration = z
  .union(
    [
      z.literal(0),
      z
        .string()
        .regex(DURATION, { message: DURATION_RULE, abort: true })
        .refine((text) => durationMs(text) !== null, DURATION_RULE),
    ],
    DURATION_RULE,
  )
  .nullish();

const RepositoryPath = z
  .string()
  .refine(isRepositoryPath, 'is not a repository name: lower-case letters, digits, and . _ - / between them');

const Owner = z
  .string()
  .regex(
    /^([A-Za-z0-9]+:)?([A-Za-z0-9._-]+\/)?[A-Za-z0-9._-]+$/,
    'is not an entity reference such as group:default/payments',
  );

const Platform = z
  .string()
  .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/, 'is not a platform such as linux/amd64 or linux/arm/v7');

const TransformStep = z
  .record(z.string(), z.record(z.string(), z.json()).nullable())
  .refine((step) => Object.keys(step).length === 1, 'a step is one key, its name, with its parameters below it')
  .describe('One step: its name, and its parameters (null: none). Steps are written as separate list items.');

const Transform = z.array(TransformStep);

const TagSelection = z
  .strictObject({
    includeRegex: Pattern.nullish().describe(
      'Tags must match this pattern. It is searched for anywhere in the tag: anchor it with ^ and $. RE2 syntax; named groups ' +
        '(?P<name>...) can be used in aliases. Default: every tag.',
    ),
    excludeRegex: z
      .array(Pattern)
      .optional()
      .describe('A tag that matches any of these patterns is left out. Searched, not anchored. Default: none.'),
    semverOnly: z
      .boolean()
      .optional()
      .describe(
        'Take only tags that the order can read; with semver: 7, 1.36.2, v2, 7-alpine, also 20240101. Default: true.',
      ),
    order: z
      .enum(ORDER_NAMES)
      .optional()
      .describe(
        'How tags compare. semver: by version, what follows - is a pre-release. docker: by number, the suffix names a ' +
          'flavour that is never compared with another. calver: by date. numeric: by the numbers in the tag. regex: by ' +
          'the groups major, minor, patch, build, revision and prerelease of includeRegex; other groups name the ' +
          'flavour. Default: semver.',
      ),
    finalsOnly: z.boolean().optional().describe('Leave pre-releases out. Default: false.'),
    semverRange: z
      .string()
      .max(250)
      .superRefine((range, context) => {
        const problem = rangeProblem(range);
        if (problem !== null) context.addIssue({ code: 'custom', message: problem });
      })
      .nullish()
      .describe('Take only versions in this range, as npm reads it: ^1.2, 1.x, >=1.2 <3. Default: every version.'),
    newest: z
      .int()
      .min(1)
      .nullish()
      .describe(
        'Take only this many of the highest tags of each stream, of those that the other rules take. Default: all.',
      ),
    names: z
      .array(Tag)
      .optional()
      .describe('Tags to take whatever the other rules say, when the source has them. Default: none.'),
    aliases: z
      .array(AliasTemplate)
      .optional()
      .describe(
        'Moving tags to keep at the destination: {major}, {minor}, {patch} and the named groups of includeRegex, as in ' +
          '{major}.{minor}; each points to the highest selected tag that renders to it. Default: none.',
      ),
  })
  .describe('Which tags of the source are taken.');

const Archive = z.strictObject({
  keep: z.int().min(0).nullish().describe('How many of the newest tags of each stream are always kept. Default: 2.'),
  olderThanDays: z
    .int()
    .min(0)
    .nullish()
    .describe('Only surplus tags older than this many days are marked. Default: 30.'),
});

const Stability = z.strictObject({
  window: Duration.describe('How long a moved tag must show the same digest before it is taken over. Default: 7d.'),
  maxWait: Duration.describe('The longest that a tag which keeps moving is held. Default: 28d.'),
  newTags: z.boolean().nullish().describe('Whether tags new to the destination wait as well. Default: false.'),
});

const VerifyUpstream = z.union(
  [
    z.strictObject({ key: z.string().min(1).max(16_384).describe('The public key the source is signed with.') }),
    z.strictObject({
      identity: line(1_000).describe('Who signed, as the certificate says.'),
      issuer: line(1_000).describe('The OIDC issuer that vouched for the identity.'),
    }),
  ],
  'must be either {key}, or {identity, issuer}',
);

const Destination = z.strictObject({
  registry: line(253)
    .nullish()
    .describe('Name of a registry in HOUBA_REGISTRIES. May be left out when there is only one.'),
  project: RepositoryPath.describe('First part of the target, {host}/{project}/{repository}.'),
  repository: RepositoryPath.describe('Last part of the target, {host}/{project}/{repository}.'),
});

const SUFFIX = /^[A-Za-z0-9._-]{0,100}$/;

const Variant = z.strictObject({
  name: line(128).describe('Name of the variant, unique in its import; stamped.'),
  suffix: z
    .string()
    .regex(SUFFIX, 'must keep a tag a tag: letters, digits, . _ and -, at most 100')
    .optional()
    .describe('Appended to every tag and alias of the variant; unique in its import. Default: nothing.'),
  transform: Transform.nullish().describe('Steps of this variant. Default: those of the import; [] means none.'),
});

/** What an import says and `spec.defaults` may say for all of them. */
const shared = {
  destinations: z.array(Destination).nullish().describe('Where the images go. At least one, here or in the defaults.'),
  transform: Transform.nullish().describe(
    'Hardening steps, in order. Any step means a rebuild; none (the default) means a copy.',
  ),
  archive: Archive.nullish().describe(
    'Retention: surplus tags are marked, never deleted at once. Default: HOUBA_RETENTION.',
  ),
  platforms: z
    .array(Platform)
    .nullish()
    .describe('The platforms to take, as in linux/amd64. Default (and []): everything the source has.'),
  owners: z
    .array(Owner)
    .nullish()
    .describe(
      'Who answers for the images: entity references such as group:default/payments; stamped. Default: nobody.',
    ),
  vendor: z
    .union([z.literal(''), line(1_000)], 'must be one line of text')
    .nullish()
    .describe('Distributing organisation; stamped. Default (and ""): not stamped.'),
  stability: Stability.nullish().describe('How long moved tags wait. Default: HOUBA_STABILITY.'),
  stamp: z
    .enum(['annotations', 'referrer'])
    .optional()
    .describe('Where the stamp goes: on the manifest, which changes its digest, or beside it. Default: annotations.'),
  keepUpstreamEvidence: z
    .boolean()
    .optional()
    .describe('Keep the signatures and other referrers of the source with the unmodified manifest. Default: false.'),
  verifyUpstream: VerifyUpstream.nullish().describe('Demand a valid signature of the source digest. Default: none.'),
};

const Defaults = z.strictObject({
  tags: TagSelection.nullish().describe('Which tags are taken; a key that an import writes replaces this one.'),
  ...shared,
});

const Import = z.strictObject({
  name: line(128).describe('Name of the import, unique in the policy; stamped.'),
  tags: TagSelection,
  ...shared,
  variants: z
    .array(Variant)
    .nullish()
    .describe('Outputs of the import, each with its own suffix and steps. Default: one named default, without suffix.'),
});

export const MirrorPolicy = z
  .strictObject({
    apiVersion: z.literal('houba.io/v1alpha1').describe('Version of this format.'),
    kind: z.literal('MirrorPolicy').describe('Kind of document.'),
    metadata: z.strictObject({
      name: line(253).describe('Name of the policy, unique in the set; stamped.'),
      labels: z.record(z.string(), z.string()).optional().describe('Free labels; never stamped. Default: none.'),
    }),
    spec: z.strictObject({
      artifactType: z
        .enum(['image', 'helmChart', 'generic'])
        .describe('What the source holds. Only images can be transformed and get an inventory.'),
      source: z
        .strictObject({
          registry: z
            .string()
            .refine(isHost, 'is not a registry host such as docker.io or registry.example:5000')
            .describe('Host of the source registry, such as docker.io.'),
          repository: RepositoryPath.describe('Repository in the source registry, such as library/redis.'),
        })
        .describe('Where the images come from: one repository.'),
      deletionMode: z
        .enum(['purge', 'mark'])
        .nullish()
        .describe(
          'What happens to tags that are no longer wanted. Default: that of the registry, else HOUBA_DELETION_MODE.',
        ),
      defaults: Defaults.nullish().describe('Settings for every import that does not say otherwise.'),
      imports: z.array(Import).min(1, 'must have at least one import').describe('What is taken, and where it goes.'),
    }),
  })
  .describe('One upstream repository and what is imported from it.');

/** A policy exactly as written: no default is filled in. Plain JSON. */
export type MirrorPolicy = z.infer<typeof MirrorPolicy>;

function isRepositoryPath(path: string): boolean {
  try {
    parseRepository('registry.example', path);
    return true;
  } catch {
    return false;
  }
}
