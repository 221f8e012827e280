import { HoubaError } from '../errors.js';

/** A step's part of the build: the archive with its files (null: it has none), and its variables. */
export interface RenderedStep {
  readonly step: string;
  readonly tar: string | null;
  readonly env: Readonly<Record<string, string>>;
}

/** Writes the Dockerfile of a rebuild, from a context `base` that the caller pins. User and entrypoint stay. */
export function renderDockerfile(layers: readonly RenderedStep[]): string {
  const lines = ['FROM base'];
  for (const { step, tar, env } of layers) {
    lines.push(`# ${step}`);
    if (tar !== null) lines.push(`ADD ${tar} /`);
    for (const [name, value] of Object.entries(env)) lines.push(`ENV ${name}=${quote(value)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Quotes a value so that it holds no variable, no escape and no second instruction. */
function quote(value: string): string {
  if (/[\r\n]/.test(value)) throw new HoubaError('Internal', 'a variable of an image cannot hold more than one line');
  return `"${value.replace(/[\\"$]/g, '\\$&')}"`;
}
