import { compareText } from '../../text/compare-text.js';
import type { FleetImage, FleetReport } from './fleet-report.js';

/** How far the evidence of an image goes, each rung harder than the one before. */
export const RUNGS = ['stamped', 'sbom', 'signed', 'scanned'] as const;
export type Rung = (typeof RUNGS)[number];

/** null: nobody can say, or nobody asked. */
export function hasReached({ stamped, sbom, signed, scanned_at }: FleetImage, rung: Rung): boolean | null {
  return { stamped, sbom, signed, scanned: scanned_at !== null }[rung];
}

export interface Ladder {
  readonly images: number;
  /** Images that reached a rung, and those of which nobody can say; the others lack it. */
  readonly rungs: Readonly<Record<Rung, { readonly reached: number; readonly unknown: number }>>;
}

export function ladderOf(images: readonly FleetImage[]): Ladder {
  const count = (rung: Rung) => ({
    reached: images.filter((image) => hasReached(image, rung) === true).length,
    unknown: images.filter((image) => hasReached(image, rung) === null).length,
  });
  return {
    images: images.length,
    rungs: { stamped: count('stamped'), sbom: count('sbom'), signed: count('signed'), scanned: count('scanned') },
  };
}

export interface RegistryLadder {
  /** A host. */
  readonly registry: string;
  readonly ladder: Ladder;
  /** By name. */
  readonly repositories: readonly { readonly repository: string; readonly ladder: Ladder }[];
}

/** Counts by registry, in the order of the report, and by repository; a registry without images is there too. */
export function laddersByRegistry({ registries, images }: FleetReport): RegistryLadder[] {
  const hosts = new Set([...registries, ...images.map(({ registry }) => registry)]);
  return [...hosts].map((registry) => {
    const own = images.filter((image) => image.registry === registry);
    const byRepository = new Map<string, FleetImage[]>();
    for (const image of own) {
      const some = byRepository.get(image.repository);
      if (some === undefined) byRepository.set(image.repository, [image]);
      else some.push(image);
    }
    const repositories = [...byRepository].map(([repository, some]) => ({ repository, ladder: ladderOf(some) }));
    repositories.sort((a, b) => compareText(a.repository, b.repository));
    return { registry, ladder: ladderOf(own), repositories };
  });
}
