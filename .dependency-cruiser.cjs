// The import rules of docs/architecture.md, one rule a folder: what a folder may reach is listed, all else is refused.
// Paths of npm packages are those of node_modules; Node's own modules have the type `core`.

/** An npm package, with its types. */
const npm = (...names) => names.map((name) => `^node_modules/(@types/)?${name.replace('/', '(/|__)')}/`);

/** Everything that `folder` imports must match one of `allowed`. */
const only = (folder, allowed, more = {}) => ({
  name: `${folder}-imports`,
  severity: 'error',
  comment: `see docs/architecture.md: what ${folder}/ may import`,
  from: { path: `^${folder}/`, ...more.from },
  to: { pathNot: allowed, ...more.to },
});

/** The files of a folder of `top`, without those of folders in it; `.` is `top` itself, but for its index. */
const filesOf = (top, room) => {
  if (room === '.') return `^${top}/(?!index\\.ts$)[^/]+$`;
  return room === 'index.ts' ? `^${top}/index\\.ts$` : `^${top}/${room}/[^/]+$`;
};

/**
 * Which folder of `top` may import which, one rule a folder. A folder names only folders above it in the table, so no two can
 * import each other; those of `everywhere` need not be named by the folders below them. A folder that is not in the table
 * imports nothing.
 */
const rooms = (top, everywhere, table) => {
  const above = [];
  const rules = Object.entries(table).map(([room, allowed]) => {
    const strange = allowed.filter((one) => !above.includes(one));
    if (strange.length > 0) throw new Error(`${top}/${room} may only import folders above it, not ${strange}`);
    const reached = [room, ...allowed, ...everywhere.filter((one) => above.includes(one))];
    above.push(room);
    return {
      name: `${top}-${room}-imports`,
      severity: 'error',
      comment: `see the table of folders in .dependency-cruiser.cjs: what ${top}/${room} may import of ${top}/`,
      from: { path: filesOf(top, room) },
      to: { path: `^${top}/`, pathNot: reached.map((one) => filesOf(top, one)) },
    };
  });
  const unlisted = {
    name: `${top}-folders-are-listed`,
    severity: 'error',
    comment: 'a new folder goes into the table of folders in .dependency-cruiser.cjs',
    from: { path: `^${top}/`, pathNot: above.map((one) => filesOf(top, one)) },
    to: {},
  };
  return [...rules, unlisted];
};

const DOMAIN = rooms('domain', ['text', '.'], {
  text: [],
  '.': [],
  stamp: [],
  selection: [],
  transform: [],
  'packages/orders': [],
  packages: ['packages/orders'],
  report: [],
  'report/run': ['report'],
  'evidence/upstream': [],
  evidence: ['report', 'stamp', 'transform'],
  'evidence/attach': ['evidence', 'report', 'stamp'],
  'report/fleet': ['evidence'],
  lifecycle: ['selection', 'stamp'],
  policy: ['evidence/upstream', 'selection', 'transform'],
  plan: ['evidence', 'lifecycle', 'policy', 'report/run', 'selection', 'stamp', 'transform'],
  'plan/held-plan': ['plan', 'policy', 'report/run'],
  settings: ['evidence', 'lifecycle'],
  durable: ['plan', 'policy', 'report', 'report/run'],
  schedule: ['durable'],
});

const ACTIVITIES = rooms('activities', ['.'], {
  '.': [],
  repository: [],
  deletion: ['repository'],
  evidence: ['repository'],
  sweep: ['deletion'],
  plan: ['repository'],
  place: ['deletion', 'evidence', 'repository'],
  settle: ['repository'],
  retire: ['deletion', 'repository', 'sweep'],
  collect: ['deletion', 'evidence', 'repository'],
  audit: ['evidence', 'repository', 'sweep'],
  'index.ts': ['audit', 'collect', 'deletion', 'evidence', 'place', 'plan', 'retire', 'settle', 'sweep'],
});

module.exports = {
  forbidden: [
    ...DOMAIN,
    ...ACTIVITIES,
    only('domain', ['^domain/', ...npm('zod', 're2js', '@noble/hashes', 'semver', 'fastest-levenshtein', 'asn1js')]),
    only('workflows', [
      '^workflows/',
      '^domain/',
      '^activities/',
      ...npm('@temporalio/workflow', '@temporalio/common'),
    ]),
    {
      name: 'workflows-see-types-of-activities',
      severity: 'error',
      comment: 'a workflow asks for steps by their types; their code would enter the sandbox',
      from: { path: '^workflows/' },
      to: { path: '^activities/', dependencyTypesNot: ['type-only'] },
    },
    only('activities', [
      '^activities/',
      '^domain/',
      '^adapters/',
      ...npm('@temporalio/activity', '@temporalio/client', '@temporalio/common', 'p-limit'),
    ]),
    {
      name: 'one-activity-module-reaches-temporal',
      severity: 'error',
      comment: 'the client inside an activity is experimental in the SDK: activities/temporal.ts holds it for all',
      from: { path: '^activities/', pathNot: '^activities/temporal\\.ts$' },
      to: { path: npm('@temporalio/client') },
    },
    {
      name: 'activities-see-interfaces-of-adapters',
      severity: 'error',
      comment: 'adapters are handed in by the worker, which composes them',
      from: { path: '^activities/' },
      to: { path: '^adapters/', dependencyTypesNot: ['type-only'] },
    },
    only('adapters', ['^adapters/', '^domain/', '^node_modules/(?!@temporalio/)'], {
      to: { dependencyTypesNot: ['core'] },
    }),
    {
      name: 'adapters-stand-apart',
      severity: 'error',
      comment:
        'an adapter is one outside thing (a file, or a folder); shared are command, private-folder, secret-files, credentials, OCI layouts and what these read',
      from: { path: '^adapters/([^/.]+)' },
      to: {
        path: '^adapters/',
        pathNot: [
          '^adapters/(command|private-folder|secret-files|credentials|docker-config|oci-layout)\\.ts$',
          '^adapters/$1[/.]',
        ],
      },
    },
    only(
      'config',
      ['^config/', '^domain/', ...npm('zod', 'env-paths', '@temporalio/envconfig', '@temporalio/common')],
      {
        to: { dependencyTypesNot: ['core'] },
      },
    ),
    {
      name: 'worker-knows-no-client',
      severity: 'error',
      comment: 'the worker is composed of everything but the client',
      from: { path: '^worker/' },
      to: { path: '^client/' },
    },
    {
      name: 'client-sees-types-of-workflows',
      severity: 'error',
      comment: 'a client names a workflow by its type; the code belongs to the worker',
      from: { path: '^client/' },
      to: { path: '^workflows/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'client-drives-by-messages',
      severity: 'error',
      comment:
        'only the embedded stack, doctor, attach, verify and the tag list of `policy test` reach further; verbs read policy files',
      from: {
        path: '^client/',
        pathNot: [
          '^client/stack/embedded\\.ts$',
          '^client/cli/source-tags\\.ts$',
          '^client/cli/verbs/(attach|doctor|up|verify|worker)\\.ts$',
        ],
      },
      to: { path: '^(worker|adapters|activities)/', pathNot: '^adapters/policy-files' },
    },
    {
      name: 'product-needs-no-tooling',
      severity: 'error',
      comment: 'what ships does not import what tests, demonstrates or builds it',
      from: { path: '^(activities|adapters|client|config|domain|worker|workflows)/' },
      to: { path: '^(test|tools|demo|bench|examples)/' },
    },
    {
      name: 'no-private-paths-of-temporal',
      severity: 'error',
      comment: 'what a package of Temporal does not export from its index may change with any release',
      from: { path: '^(activities|adapters|client|config|domain|worker|workflows)/' },
      to: {
        path: '^node_modules/@temporalio/[^/]+/',
        pathNot: '^node_modules/@temporalio/[^/]+/(lib|dist)/index\\.(d\\.ts|js)$',
      },
    },
    {
      name: 'page-runs-in-a-browser',
      severity: 'error',
      comment: 'the script of the report page has the rules of the domain, and nothing of Node.js',
      from: { path: '^client/page/' },
      to: { pathNot: '^(client/page|domain)/' },
    },
    { name: 'no-circle', severity: 'error', comment: 'a circle hides an idea', from: {}, to: { circular: true } },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'an import that leads nowhere would escape every other rule',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: '^(node_modules|dist)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types', 'default'] },
  },
};
