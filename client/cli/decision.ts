import { hostname, userInfo } from 'node:os';
import { Command } from 'commander';
import { HoubaError } from '../../domain/errors.js';
import { parseReference, type Reference } from '../../domain/reference.js';
import { outputOption } from './options.js';

/** Makes a command by which a person decides about one tag. */
export function decisionCommand(verb: string): Command {
  return new Command(verb)
    .argument(
      '<ref>',
      'the tag at its destination: registry.example/team/app:1.2; with @sha256:… that digest or nothing',
    )
    .option('--by <who>', 'who decides (default: user@host)')
    .addOption(outputOption());
}

/** The default of `--by`. It is a claim: the permissions of the Temporal namespace say who may decide. */
export function whoami(): string {
  return `${userInfo().username}@${hostname()}`;
}

/** Parses the tag of a decision, and its digest where one is given. @throws HoubaError `ConfigInvalid` without a tag */
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
