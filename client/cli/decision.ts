import { hostname, userInfo } from 'node:os';
import { Command } from 'commander';
import { HoubaError } from '../../domain/errors.js';
import { parseReference, type Reference } from '../../domain/reference.js';
import { outputOption } from './options.js';

/** A command by which a person decides about one tag. */
export function decisionCommand(verb: string): Command {
  return new Command(verb)
    .argument(
      '<ref>',
      'the tag at its destination: registry.example/team/app:1.2; with @sha256:… that digest or nothing',
    )
    .option('--by <who>', 'who decides (default: user@host)')
    .addOption(outputOption());
}

/** Who decides, unless the command line says so. A claim: who may decide is what the namespace's permissions say. */
export function whoami(): string {
  return `${userInfo().username}@${hostname()}`;
}

/**
 * The tag that a decision is about, and the digest where one is meant alone.
 * @throws HoubaError `ConfigInvalid` when it names no tag
 */
export function taggedReference(text: string): Reference & { readonly tag: string } {
  let reference: Reference;
  try {
    reference = parseReference(text);
  } catch (error) {
    if (!(error instanceof HoubaError)) throw error;
    throw new HoubaError('ConfigInvalid', error.message, { cause: error });
  }
  const { tag } = reference;
  if (tag !== null) return { ...reference, tag };
  throw new HoubaError('ConfigInvalid', `${JSON.stringify(text)} names no tag`, {
    hint: 'name the tag at its destination: registry.example/team/app:1.2',
  });
}
