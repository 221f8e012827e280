import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { type FakeProgram, fakeProgram } from '../../support/fake-program.js';

const PACKAGE = fileURLToPath(new URL('../../../', import.meta.url));

export const PLATFORM = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
export const [OS, ARCH] = PLATFORM.split('-') as [string, string];

/** What a finished process left. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user of one machine: a cache folder, a PATH that holds what the test puts there, and checkouts with `tools/` alone. */
export class Machine {
  readonly folder = mkdtempSync(join(tmpdir(), 'houba-tools-'));
  readonly cache = join(this.folder, 'cache', 'houba-tools');
  readonly path = join(this.folder, 'path');

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  checkout(name: string): Checkout {
    const root = join(this.folder, name);
    cpSync(join(PACKAGE, 'tools'), join(root, 'tools'), { recursive: true });
    symlinkSync(join(PACKAGE, 'node_modules'), join(root, 'node_modules'));
    return new Checkout(root, { PATH: this.path, XDG_CACHE_HOME: join(this.folder, 'cache') });
  }

  /** A `go` that "builds" a program which says `version`. */
  async installGo(version: string): Promise<FakeProgram> {
    const source = join(this.folder, 'module');
    mkdirSync(source, { recursive: true });
    return fakeProgram(
      this.path,
      'go',
      `if (args[0] === 'mod') console.log(JSON.stringify({ Dir: ${JSON.stringify(source)} }));
       if (args[0] === 'build') {
         const target = args[args.indexOf('-o') + 1];
         fs.writeFileSync(target, ${JSON.stringify(programSaying(`${version} compiled`))});
         fs.chmodSync(target, 0o755);
       }`,
    );
  }
}

export class Checkout {
  constructor(
    readonly root: string,
    private readonly environment: Readonly<Record<string, string>>,
  ) {}

  /** The pins that `tools/` works with here, in place of its own. */
  pin(pins: Readonly<Record<string, unknown>>): void {
    writeFileSync(this.pins, JSON.stringify(pins));
  }

  get pins(): string {
    return join(this.root, 'pins.json');
  }

  program(name: string): string {
    return join(this.root, '.tools', 'bin', name);
  }

  /** What lies in .tools/bin. */
  installed(): string[] {
    return entries(join(this.root, '.tools', 'bin'));
  }

  run(script: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    const env = { ...this.environment, HOUBA_TOOLS_PROGRAMS: this.pins, ...environment };
    return finished(process.execPath, [join(this.root, 'tools', script), ...args], env);
  }
}

export function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A program that says its version, and nothing else. */
export function programSaying(version: string): string {
  return `#!/bin/sh\necho version ${version}\n`;
}

export async function archive(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name, mode: 0o755 }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return gzipSync(Buffer.concat(chunks));
}

export function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What a server of release files does with a GET of one path. */
export type Answer = Buffer | ((response: ServerResponse) => void);

/** Serves release files on loopback, and notes which were asked for. */
export class ReleaseServer {
  readonly asked: string[] = [];
  private readonly answers = new Map<string, Answer>();
  private readonly server: Server = createServer((request, response) => {
    if (request.method === 'GET') this.asked.push(request.url ?? '');
    const answer = this.answers.get(request.url ?? '');
    if (typeof answer === 'function') return answer(response);
    response.statusCode = answer === undefined ? 404 : 200;
    response.end(answer);
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  serve(path: string, answer: Answer): void {
    this.answers.set(path, answer);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export function finished(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
