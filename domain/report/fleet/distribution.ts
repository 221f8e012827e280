import { type Html, html } from '../../text/html.js';

export interface Share {
  readonly label: string;
  readonly count: number;
  /** Of which nobody can say; hatched behind the others. */
  readonly unknown?: number;
}

/** A table of shares of one total, with a bar each. */
export function distribution(caption: string, head: string, total: number, shares: readonly Share[]): Html {
  const rows = shares.map(({ label, count, unknown = 0 }) => {
    const unsaid = unknown === 0 ? null : html` <small>${formatCount(unknown)} unknown</small>`;
    return html`<tr><th scope="row">${label}</th><td class="n">${formatCount(count)}${unsaid}</td>
<td class="picture">${bar(total, count, unknown)}</td></tr>
`;
  });
  return html`<table class="shares"><caption>${caption}</caption>
<thead><tr><th scope="col">${head}</th><th scope="col" class="n">Images</th><td></td></tr></thead>
<tbody>${rows}</tbody></table>
`;
}

/** A picture of a share. Its numbers stand beside it as text, so a screen reader passes over it. */
export function bar(total: number, count: number, unknown = 0): Html {
  const percent = (part: number) => `${total === 0 ? 0 : Math.round((part / total) * 1000) / 10}%`;
  const hatched =
    unknown === 0
      ? null
      : html`<rect class="unknown" x="${percent(count)}" width="${percent(unknown)}" height="100%"/>`;
  return html`<svg class="bar" aria-hidden="true"><rect class="reached" width="${percent(count)}" height="100%"/>${hatched}</svg>`;
}

/** Writes a number with commas between the thousands. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** `1 image`, `2 images`; `several` where the plural is not made with an s. */
export function counted(count: number, one: string, several = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : several}`;
}
