import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A usage oracle whose answers a test decides while it runs. */
export interface PlayingOracle {
  /** The value of `HOUBA_USAGE_ORACLE_CMD`. */
  readonly command: string;
  /** What it does from now on: prints this, in whatever form. `{now}` becomes the time of the question. */
  says(text: string): void;
  fails(): void;
  /** Does not answer within a minute. */
  hangs(): void;
  readonly questions: () => readonly Question[];
}

export interface Question {
  /** When it was asked, ms since 1970. */
  readonly at: number;
  readonly digest: string;
  readonly image_ref: string;
  readonly since: string;
  readonly identity: Readonly<Record<string, string>>;
  /** What the program inherited, names only. */
  readonly variables: readonly string[];
}

export const SEEN = '{"last_seen":"{now}","detail":"web-1"}';
export const UNSEEN = '{"last_seen":null}';

const PROGRAM = `
import { appendFileSync, readFileSync } from 'node:fs';
const [answer, log] = process.argv.slice(2);
const question = JSON.parse(readFileSync(0, 'utf8'));
const facts = { at: Date.now(), ...question, variables: Object.keys(process.env) };
appendFileSync(log, JSON.stringify(facts) + '\\n');
const { does, text } = JSON.parse(readFileSync(answer, 'utf8'));
if (does === 'hang') setTimeout(() => {}, 60_000);
else if (does === 'fail') { process.stderr.write('no connection\\n'); process.exitCode = 1; }
else process.stdout.write(text.replace('{now}', new Date().toISOString()));
`;

export function createPlayingOracle(folder: string): PlayingOracle {
  const program = join(folder, 'oracle.mjs');
  const answer = join(folder, 'oracle-answer.json');
  const log = join(folder, 'oracle-questions.jsonl');
  const play = (does: string, text = '') => writeFileSync(answer, JSON.stringify({ does, text }));
  writeFileSync(program, PROGRAM);
  writeFileSync(log, '');
  play('fail');
  return {
    command: [process.execPath, program, answer, log].map((word) => `'${word}'`).join(' '),
    says: (text) => play('say', text),
    fails: () => play('fail'),
    hangs: () => play('hang'),
    questions: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Question),
  };
}
