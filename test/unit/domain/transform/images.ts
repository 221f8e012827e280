import { createImageFiles, type ImageEntry, type ImageFiles } from '../../../../domain/transform/image-files.js';
import type { StepEffect, TransformResources } from '../../../../domain/transform/step.js';

/** What an image has at each path: a text, a link, or nothing but a directory. */
export type Tree = Readonly<
  Record<string, string | Uint8Array | { link: string } | 'directory' | { mode: number; text: string }>
>;

export const DIRECTORY = 'directory';

/** An image with these files. Only the wanted contents can be read, as of a real one; by default, all. */
export function imageOf(tree: Tree, wanted?: readonly string[]): ImageFiles {
  const entries = new Map<string, ImageEntry>();
  const contents = new Map<string, Uint8Array>();
  for (const [path, what] of Object.entries(tree)) {
    if (what === DIRECTORY) {
      entries.set(path, { kind: 'directory', mode: 0o755 });
    } else if (typeof what === 'object' && 'link' in what) {
      entries.set(path, { kind: 'link', link: what.link, mode: 0o777 });
    } else {
      const { mode, text } = typeof what === 'object' && 'mode' in what ? what : { mode: 0o644, text: what };
      entries.set(path, { kind: 'file', mode });
      contents.set(path, typeof text === 'string' ? new TextEncoder().encode(text) : text);
    }
  }
  const whole = createImageFiles(entries, contents);
  if (wanted === undefined) return whole;
  const paths = wanted.flatMap((path) => (path.endsWith('/') ? whole.list(path).map((name) => path + name) : [path]));
  const places = new Set(paths.map((path) => whole.resolve(path).path));
  return createImageFiles(entries, new Map([...contents].filter(([path]) => places.has(path))));
}

/** The files of an effect by path: texts, and links as `-> target`. */
export function written(effect: StepEffect): Record<string, string> {
  return Object.fromEntries(
    effect.files.map(({ path, content }) => [
      path,
      'link' in content ? `-> ${content.link}` : new TextDecoder().decode(content.bytes),
    ]),
  );
}

/** What the configuration has, with certificates and mirrors by name. */
export function resourcesOf(
  certificates: Readonly<Record<string, string>>,
  mirrors: Readonly<Record<string, { apt?: string; apk?: string }>> = {},
): TransformResources {
  return {
    caCert(name) {
      const text = certificates[name];
      if (text === undefined) throw new Error(`no certificate ${name}`);
      return text;
    },
    packageMirror(name) {
      const mirror = mirrors[name];
      if (mirror === undefined) throw new Error(`no mirror ${name}`);
      return { apt: mirror.apt ?? null, apk: mirror.apk ?? null };
    },
  };
}
