import type { Info } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import type { Dependencies } from '../../activities/dependencies.js';
import { createBuildActivities, createRegistryActivities, createSignActivities } from '../../activities/index.js';
import type { DigestFacts, DigestMemory, DocumentPlace } from '../../adapters/digest-memory.js';
import type { PolicySource } from '../../domain/durable/messages.js';
import { HoubaError } from '../../domain/errors.js';
import { formatPinned, formatRepository, parseReference, type Repository } from '../../domain/reference.js';
import type { RosterEntry } from '../../domain/roster.js';
import type { FleetSettings } from '../../domain/settings/fleet-settings.js';
import type { Steps } from './fake-steps.js';
import { createMemoryRegistries, type MemoryRegistries } from './memory-registries.js';

/** The activities over registries in memory. */
export interface ActivityWorld {
  readonly registries: MemoryRegistries;
  readonly steps: Steps;
  readonly memory: DigestMemory;
  /** The worker's, which a test may change. */
  readonly settings: FleetSettings;
  readonly journal: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[];
}

export interface WorldFacts {
  readonly settings?: Partial<FleetSettings>;
  /** Roster entries by name; the host is the name and `.example` unless it says otherwise. Default: `main`. */
  readonly roster?: Readonly<Record<string, Partial<RosterEntry>>>;
  readonly readPolicies?: (path: string) => Promise<PolicySource[]>;
  readonly whoIsAtWork?: Dependencies['whoIsAtWork'];
  readonly placedSince?: Dependencies['placedSince'];
  readonly deletions?: Dependencies['deletions'];
  readonly openOracle?: Dependencies['openOracle'];
  /** Default: a read that contradicts a write is not asked again. */
  readonly readBackMs?: number;
  readonly readTrust?: Dependencies['readTrust'];
  /** Tools that a test brings, for registries that are real; one that is not brought must not be used. */
  readonly tools?: Partial<Pick<Dependencies, Tool | 'reader' | 'regctl' | 'syft'>>;
}

const TOOLS = ['buildctl', 'layouts', 'layers', 'scratch', 'resources', 'cosign'] as const;
type Tool = (typeof TOOLS)[number];

export function createWorld(facts: WorldFacts = {}): ActivityWorld {
  const registries = createMemoryRegistries();
  const journal: ActivityWorld['journal'] = [];
  const memory = createMemory();
  const { reader, regctl, syft } = registries;
  const deps: Dependencies = {
    settings: {
      prefix: 'io.houba',
      sbomFormats: ['spdx-json'],
      dryRunTags: false,
      dryRunDeletions: false,
      deletionMode: 'mark',
      maxDeletionShare: 0.5,
      retention: null,
      purgeMinIdleMs: null,
      purgeRequireApproval: false,
      stability: { windowMs: 7 * 86_400_000, maxWaitMs: 28 * 86_400_000, newTags: false },
      maxConcurrency: 4,
      attest: { signer: '', builderId: '' },
      verifyKms: [],
      buildPlatform: 'linux/amd64',
      policyDir: null,
      ...facts.settings,
    },
    version: '1.2.3',
    hasOracle: facts.openOracle !== undefined,
    roster: new Map(
      Object.entries(facts.roster ?? { main: {} }).map(([name, entry]) => [name, rosterEntry(name, entry)]),
    ),
    ...{ reader, regctl, syft, memory },
    ...(Object.fromEntries(TOOLS.map((name) => [name, notBrought(name)])) as Pick<Dependencies, Tool>),
    ...facts.tools,
    journal: { event: (event, fields) => journal.push({ event, fields }) },
    whoIsAtWork: facts.whoIsAtWork ?? (async () => null),
    placedSince: facts.placedSince ?? (async () => []),
    goneTags: new Map(),
    deletions: facts.deletions ?? createDeletionNotes(),
    readBackMs: facts.readBackMs ?? 0,
    openOracle: facts.openOracle ?? noOracle,
    readTrust: facts.readTrust ?? (async () => null),
    readPolicies: facts.readPolicies ?? (async () => []),
  };
  const steps = { ...createRegistryActivities(deps), ...createBuildActivities(deps), ...createSignActivities(deps) };
  return { registries, steps, memory, settings: deps.settings, journal };
}

/** As Temporal would keep them. */
function createDeletionNotes(): Dependencies['deletions'] {
  const at = new Map<string, { going: number; endedMs: number }>();
  const noteOf = (repository: Repository) => {
    const name = formatRepository(repository);
    const note = at.get(name) ?? { going: 0, endedMs: 0 };
    at.set(name, note);
    return note;
  };
  return {
    during: async (repository, work) => {
      const note = noteOf(repository);
      note.going += 1;
      try {
        return await work();
      } finally {
        note.going -= 1;
        note.endedMs = Date.now();
      }
    },
    since: async (repository, sinceMs) => {
      const { going, endedMs } = noteOf(repository);
      if (going > 0) return 'going on';
      return endedMs >= sinceMs ? 'ended' : 'none';
    },
  };
}

function noOracle(): never {
  throw new HoubaError('ConfigInvalid', 'this test brings no oracle');
}

function notBrought(name: string): object {
  return new Proxy({}, { get: () => () => Promise.reject(new Error(`this test brings no ${name}`)) });
}

function rosterEntry(name: string, entry: Partial<RosterEntry>): RosterEntry {
  return {
    name,
    host: `${name}.example`,
    namespace: null,
    tlsVerify: true,
    deletionMode: null,
    sourceOnly: false,
    ...entry,
  };
}

function createMemory(): DigestMemory {
  const facts = new Map<string, DigestFacts>();
  const documents = new Map<string, DocumentPlace>();
  return {
    facts: (repository, digest) => facts.get(formatPinned(repository, digest)),
    rememberFacts: (repository, digest, known) => facts.set(formatPinned(repository, digest), known),
    repositories: (host) => [...facts.keys()].map(parseReference).filter((reference) => reference.host === host),
    document: (content, format) => documents.get(`${content} ${format}`),
    rememberDocument: (content, format, place) => documents.set(`${content} ${format}`, place),
    close: () => undefined,
  };
}

/** Runs a step as a worker would. */
export function run<Input, Output>(
  step: (input: Input) => Promise<Output>,
  input: Input,
  environment = activityEnvironment(),
): Promise<Output> {
  return environment.run(step as (...args: unknown[]) => Promise<Output>, input) as Promise<Output>;
}

/** Where a step runs; `cancel()` cancels it. It says nothing of failures, which tests cause. */
export function activityEnvironment(info: Partial<Info> = {}): MockActivityEnvironment {
  return new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });
}
