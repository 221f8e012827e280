import type { Platform } from './manifest.js';

export function platformText({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/');
}

/** Compares platforms. A common variant may be left out: `linux/arm64` is `linux/arm64/v8`. */
export function isPlatform(has: string, asked: string): boolean {
  return normalized(has) === normalized(asked);
}

const COMMON_VARIANTS: ReadonlySet<string> = new Set(['arm64/v8', 'amd64/v1', 'arm/v7']);

function normalized(platform: string): string {
  const [os = '', ...machine] = platform.toLowerCase().split('/');
  const text = machine.join('/');
  return `${os}/${COMMON_VARIANTS.has(text) ? machine[0] : text}`;
}
