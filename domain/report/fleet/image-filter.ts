import { SEVERITIES } from '../../evidence/severity.js';
import type { FleetImage, FleetReport, FleetVersion } from './fleet-report.js';

/** What a text in the filter box leaves over. */
export interface FilterMatch {
  /** Indexes into the images of the report, ascending. */
  readonly images: readonly number[];
  /** Versions of the packages that the text names; null: it names none. */
  readonly named: ReadonlySet<FleetVersion> | null;
}

/**
 * Prepares the filter of a report. Each word of its text has to be in the image's names (reference, digest, base, owners,
 * policy, platform, where it runs, state) or in the name of one of its packages; `openssl@3.0` is exactly that package, in
 * versions that begin so.
 */
export function imageFilter({ images, packages }: FleetReport): (text: string) => FilterMatch {
  const texts = images.map(textOf);
  const names = packages.map(({ name }) => name.toLowerCase());

  const versionsNamed = (word: string): readonly FleetVersion[] => {
    const at = word.lastIndexOf('@');
    if (at <= 0) return packages.flatMap(({ versions }, index) => (names[index]?.includes(word) ? versions : []));
    const [name, wanted] = [word.slice(0, at), word.slice(at + 1)];
    return packages.flatMap(({ versions }, index) =>
      names[index] === name ? versions.filter(({ version }) => beginsWith(version.toLowerCase(), wanted)) : [],
    );
  };

  return (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const named = new Set<FleetVersion>();
    const hits = new Uint16Array(images.length);
    words.forEach((word, before) => {
      texts.forEach((own, index) => {
        if (hits[index] === before && own.includes(word)) hits[index] = before + 1;
      });
      for (const version of versionsNamed(word)) {
        named.add(version);
        for (const index of version.images) if (hits[index] === before) hits[index] = before + 1;
      }
    });
    const left = images.flatMap((_, index) => (hits[index] === words.length ? [index] : []));
    return { images: left, named: named.size === 0 ? null : named };
  };
}

/** What the filter knows an image's state by; the page links to some of them. */
function stateWords(image: FleetImage): string[] {
  const { stamped, sbom, signed, findings, held, pending_deletion, owners, base_digest } = image;
  return [
    ...(stamped === false ? ['no:stamp'] : []),
    ...(sbom === false ? ['no:sbom'] : []),
    ...(signed === false ? ['no:signature'] : []),
    ...(findings === null ? ['no:scan'] : SEVERITIES.filter((one) => findings[one] > 0).map((one) => `has:${one}`)),
    ...(findings !== null && SEVERITIES.every((one) => findings[one] === 0) ? ['is:clean'] : []),
    ...(held === null ? [] : ['is:held']),
    ...(pending_deletion === null ? [] : ['is:pending-deletion']),
    ...(owners.length === 0 ? ['no:owner'] : []),
    ...(base_digest === null ? ['no:base'] : []),
  ];
}

function textOf(image: FleetImage): string {
  const { image_ref, registry, repository, digest, base_name, base_digest, policy } = image;
  const parts = [
    `${image_ref}@${digest}`,
    `${registry}/${repository}@${digest}`,
    `${base_name ?? ''}@${base_digest ?? ''}`,
    policy ?? '',
    ...image.owners,
    ...image.platforms,
    ...image.running_in,
    ...stateWords(image),
  ];
  return parts.join('\n').toLowerCase();
}

/** Whether a version is the wanted one or goes on behind it: 5.6.1-1 is 5.6.1, 5.6.10 is not. Epoch and `v` may be left out. */
function beginsWith(version: string, wanted: string): boolean {
  const isDigit = (character: string | undefined) => /^\d$/.test(character ?? '');
  return [version, version.replace(/^(?:\d+:|v)/, '')].some(
    (text) => text.startsWith(wanted) && !(isDigit(wanted.at(-1)) && isDigit(text[wanted.length])),
  );
}
