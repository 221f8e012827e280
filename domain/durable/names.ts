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

/** Of waits of tags that settle. */
export const WAIT_UPDATES = { observe: 'observe', promote: 'promote', hold: 'hold', release: 'release' } as const;
export const WAIT_SIGNALS = { withdrawn: 'withdrawn' } as const;

/** Of retirements. */
export const RETIRE_UPDATES = { sweep: 'sweep', approve: 'approve', restore: 'restore' } as const;

/** To the note that something is being deleted in a repository, from who deletes. */
export const DELETION_SIGNALS = { begun: 'begun', ended: 'ended' } as const;

/**
 * Name and type of each search attribute, as the server and the keys of the SDK need them
 * (docs/rules/durability.md#names-of-the-wire-do-not-change).
 */
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
