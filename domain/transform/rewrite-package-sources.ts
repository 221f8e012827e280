import { z } from 'zod';
import { HoubaError } from '../errors.js';
import { type ImageFiles, type LayerFile, replaceFile } from './image-files.js';
import type { PackageMirror, StepKind, TransformResources } from './step.js';

const SYSTEMS = [
  {
    name: 'apt',
    file: '/etc/apt/sources.list',
    folder: '/etc/apt/sources.list.d/',
    pattern: /\.(?:list|sources)$/,
  },
  { name: 'apk', file: '/etc/apk/repositories', folder: '/etc/apk/repositories.d/', pattern: /\.list$/ },
] as const;

type System = (typeof SYSTEMS)[number];

/** Scheme and host of a package source (docs/rules/transform.md#a-mirror-is-a-scheme-and-a-host). */
const ORIGIN = /https?:\/\/[^/\s]+/g;

const MIRROR = /^https?:\/\/(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/;

export const rewritePackageSources: StepKind<{ mirror: string }> = {
  name: 'rewritePackageSources',
  params: z.strictObject({ mirror: z.string('must be the name of a mirror').min(1, 'must not be empty') }),
  resources({ mirror: name }, configured) {
    return [{ ...checkedMirror(name, configured), content: null, filename: null, kind: 'packageMirror', name }];
  },
  wantedPaths: () => SYSTEMS.flatMap((system) => [system.file, system.folder]),
  apply({ mirror: name }, configured, image) {
    const mirror = checkedMirror(name, configured);
    const used = SYSTEMS.map((system) => ({ system, sources: sourcesOf(system, image) })).filter(
      ({ sources }) => sources.length > 0,
    );
    if (used.length === 0) {
      throw new HoubaError(
        'PolicyInvalid',
        'rewritePackageSources: the image has no sources of apt or apk to rewrite',
        {
          hint: 'leave the step out for images that install no packages',
        },
      );
    }
    const files: LayerFile[] = [];
    let applies = false;
    for (const { system, sources } of used) {
      const origin = mirror[system.name];
      if (origin === null) continue;
      applies = true;
      for (const { path, text } of sources) files.push(...replaceFile(image, path, encode(rewrite(text, origin))));
    }
    if (applies) return { files, env: {} };
    const names = used.map(({ system }) => system.name).join(' and ');
    throw new HoubaError(
      'PolicyInvalid',
      `rewritePackageSources: the image installs packages with ${names}, for which the mirror ${JSON.stringify(name)} ` +
        'has no address',
      { hint: `add ${names} to it in HOUBA_TRANSFORM_PACKAGE_MIRRORS` },
    );
  },
};

/** No message quotes an address: it may hold a password. */
function checkedMirror(name: string, configured: TransformResources): PackageMirror {
  const { apt, apk } = configured.packageMirror(name);
  for (const [system, address] of Object.entries({ apt, apk })) {
    if (address === null || MIRROR.test(address)) continue;
    const where = `HOUBA_TRANSFORM_PACKAGE_MIRRORS: ${name}.${system}`;
    if (address.includes('@')) {
      throw new HoubaError(
        'ConfigInvalid',
        `${where} carries a user name or a password, which every image would tell`,
        {
          hint: 'use a mirror that needs none, or give it to the builds that use the image',
        },
      );
    }
    throw new HoubaError('ConfigInvalid', `${where} is not a scheme and a host, without path and final slash`, {
      hint: 'write it as in https://mirror.example: the path of each source is kept',
    });
  }
  return { apt, apk };
}

function sourcesOf(system: System, image: ImageFiles): { path: string; text: string }[] {
  const names = image.list(system.folder).filter((name) => system.pattern.test(name));
  const paths = [system.file, ...names.map((name) => system.folder + name)].map((path) => image.resolve(path).path);
  const sources: { path: string; text: string }[] = [];
  for (const path of new Set(paths)) {
    const bytes = image.read(path);
    if (bytes === null) continue;
    const text = decode(bytes);
    if (rewrite(text, '') !== text) sources.push({ path, text });
  }
  return sources;
}

function rewrite(text: string, origin: string): string {
  return text
    .split('\n')
    .map((line) => {
      const comment = line.search(/(?:^|\s)#/);
      const code = comment < 0 ? line : line.slice(0, comment);
      return code.replace(ORIGIN, () => origin) + line.slice(code.length);
    })
    .join('\n');
}

/** A character a byte: what is no UTF-8 comes out as it went in. */
function decode(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

function encode(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
