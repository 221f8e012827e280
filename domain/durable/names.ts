/** Task queues. Names of the wire do not change (docs/rules/durability.md#names-of-the-wire-do-not-change). */
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

export const DELETION_SIGNALS = { begun: 'begun', ended: 'ended' } as const;

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

/** Memo field with the digest of a workflow's input: a start with an equal input may join it. */
export const MEMO_INPUT_DIGEST = 'houbaInputDigest';
