import { distance } from 'fastest-levenshtein';

/** The known name that a person most likely meant, or null when nothing is close enough to be worth suggesting. */
export function nearest(name: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.ceil(name.length / 3) + 1;
  for (const candidate of known) {
    const far = distance(name.toLowerCase(), candidate.toLowerCase());
    if (far < bestDistance) [best, bestDistance] = [candidate, far];
  }
  return best;
}
