// Writes the SHA-256 of each release file into programs.json, as GitHub publishes it beside the file:
// `node tools/pin.mjs [NAME…]`, after a version was moved. It needs the internet; the diff is for a person to read.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { PINS } from './programs.mjs';
import { releaseOf } from './release.mjs';

const API = process.env.HOUBA_TOOLS_API || 'https://api.github.com';

const pins = JSON.parse(readFileSync(PINS, 'utf8'));
for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(pins)) await pin(name);
// Short lists stay on one line, as the formatter wants them.
const text = JSON.stringify(pins, null, 2).replace(
  /\[\s+("[^\]]*")\s+\]/g,
  (_, items) => `[${items.replace(/\s+/g, ' ')}]`,
);
writeFileSync(PINS, `${text}\n`);

async function pin(name) {
  const { release, version } = pins[name];
  const [owner, repository] = release.path.split('/');
  const response = await fetch(`${API}/repos/${owner}/${repository}/releases/tags/v${version}`);
  if (!response.ok) throw new Error(`${response.url} answers with status ${response.status}`);
  const { assets } = await response.json();
  for (const platform of Object.keys(release.sha256)) {
    const file = basename(releaseOf(pins[name], platform).path);
    const asset = assets.find((candidate) => candidate.name === file);
    const published = /^sha256:([0-9a-f]{64})$/.exec(asset?.digest ?? '')?.[1];
    if (!published) throw new Error(`${owner}/${repository} v${version} publishes no SHA-256 of ${file}`);
    if (published !== release.sha256[platform])
      console.log(`${name} ${platform}: ${release.sha256[platform]} → ${published}`);
    release.sha256[platform] = published;
    release.megabytes = Math.ceil(asset.size / 1e6);
  }
}
