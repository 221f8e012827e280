/** Task queues, message names and search attributes: the vocabulary shared by workflows, workers and clients. */
export const QUEUES = {
  flow: 'houba-flow',
  registry: 'houba-registry',
  build: 'houba-build',
  sign: 'houba-sign',
} as const;

export const WORKFLOWS = {
  fleet: 'reconcileFleet',
  policy: 'reconcilePolicy',
  placement: 'placeImage',
  settle: 'settleTag',
  retire: 'retireTag',
  purge: 'purgeFleet',
  gc: 'collectGarbage',
  audit: 'auditFleet',
  deletions: 'noteDeletions',
} as const;

export const QUERIES = { status: 'status', progress: 'progress' } as const;

export const WAIT_UPDATES = { observe: 'observe', promote: 'promote', hold: 'hold', release: 'release' } as const;
export const WAIT_SIGNALS = { withdrawn: 'withdrawn' } as const;

export const RETIRE_UPDATES = { sweep: 'sweep', approve: 'approve', restore: 'restore' } as const;

/** Of `noteDeletions`. */
export const DELETION_SIGNALS = { begun: 'begun', ended: 'ended' } as const;

/** Search attributes by name and type (docs/rules/durability.md#names-of-the-wire-do-not-change). */
export const SEARCH_ATTRIBUTES = {
  policy: ['HoubaPolicy', 'KEYWORD'],
  repository: ['HoubaRepository', 'KEYWORD'],
  tag: ['HoubaTag', 'KEYWORD'],
  digest: ['HoubaDigest', 'KEYWORD'],
  phase: ['HoubaPhase', 'KEYWORD'],
  outcome: ['HoubaOutcome', 'KEYWORD'],
  dueAt: ['HoubaDueAt', 'DATETIME'],
  needsHuman: ['HoubaNeedsHuman', 'BOOL'],
} as const satisfies Record<string, readonly [name: string, type: 'KEYWORD' | 'DATETIME' | 'BOOL']>;

/** The memo field that says which input a running workflow works on; equal inputs may be joined. */
export const MEMO_INPUT_DIGEST = 'houbaInputDigest';
