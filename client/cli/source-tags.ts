import { createRegistryReader } from '../../adapters/registry.js';
import { registryAccess } from '../../config/registry-access.js';
import { HoubaError } from '../../domain/errors.js';
import { formatRepository, parseRepository } from '../../domain/reference.js';
import { settingsOfProcess } from './settings.js';

/** Lists the tags of a policy's source. @throws HoubaError `NotFound` when the registry does not know the repository */
export async function sourceTags(source: {
  readonly registry: string;
  readonly repository: string;
}): Promise<string[]> {
  const { settings } = settingsOfProcess();
  const reader = createRegistryReader(registryAccess(settings));
  try {
    const repository = parseRepository(source.registry, source.repository);
    const tags = await reader.listTags(repository);
    if (tags !== null) return tags;
    throw new HoubaError('NotFound', `the registry does not know ${formatRepository(repository)}`, {
      hint: 'check spec.source, or give the tags with --tags-from',
    });
  } finally {
    await reader.close();
  }
}
