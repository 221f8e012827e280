import { type Html, html } from '../../text/html.js';
import type { Group, PackageGroup } from './blast-radius.js';
import { bar, counted, formatCount } from './distribution.js';
import type { FleetReport } from './fleet-report.js';
import { breakable, opened, referenceList } from './image-table.js';

/** @param most rows; `total` is what a whole bar stands for */
export function baseTable(report: FleetReport, groups: readonly Group[], most: number, total: number): Html {
  return groupTable('Base digest', total, groups.slice(0, most), (group, index) => ({
    summary: opened('base', index, group.key === null ? 'no base recorded' : baseName(report, group, group.key)),
    images: group.images.length,
  }));
}

export function ownerTable(groups: readonly Group[], most: number, total: number): Html {
  return groupTable('Owner', total, groups.slice(0, most), ({ key, images }, index) => ({
    summary: opened('owner', index, key ?? 'no owner'),
    images: images.length,
  }));
}

export function packageTable(groups: readonly PackageGroup[], most: number, total: number): Html {
  return groupTable(
    'Package',
    total,
    groups.slice(0, most),
    ({ package: { name, ecosystem }, images, versions }, index) => ({
      summary: opened(
        'package',
        index,
        html`${name} <small>${ecosystem}, ${counted(versions.length, 'version')}</small>`,
      ),
      images,
    }),
  );
}

function groupTable<G>(
  head: string,
  total: number,
  groups: readonly G[],
  rowOf: (group: G, index: number) => { summary: Html; images: number },
): Html {
  const rows = groups.map((group, index) => {
    const { summary, images } = rowOf(group, index);
    return html`<tr><th scope="row">${summary}</th><td class="n">${formatCount(images)}${bar(total, images)}</td></tr>
`;
  });
  return html`<table class="groups"><caption>By ${head.toLowerCase()}</caption>
<thead><tr><th scope="col">${head}</th><th scope="col" class="n">Images</th></tr></thead>
<tbody>${rows}</tbody></table>
`;
}

/** Its names, for no two people know it by its digest. */
function baseName({ images }: FleetReport, group: Group, digest: string): Html {
  const names = new Set(group.images.flatMap((index) => images[index]?.base_name ?? []));
  const [first = null] = names;
  const more = names.size < 2 ? '' : ` and ${counted(names.size - 1, 'other name')}`;
  return html`${first && breakable(first)}${more} <small>${digest.slice(0, digest.indexOf(':') + 13)}</small>`;
}

/** What an opened package shows: its versions, which open in turn. */
export function versionList({ versions }: PackageGroup, index: number): Html {
  const items = versions.map(
    ({ version, images }, at) =>
      html`<li>${opened('version', `${index}.${at}`, `${version}: ${counted(images.length, 'image')}`)}</li>`,
  );
  return html`<ul class="versions">${items}</ul>`;
}

/** What an opened base digest, owner or version shows. */
export function groupDetails(report: FleetReport, { key, images }: Group): Html {
  return html`${key === null ? null : html`<p class="key">${key}</p>`}${referenceList(report, images)}`;
}
