/** Lines of a table whose first row is its head; numbers stand at the right. */
export function renderTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : String(cell).padStart(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function seconds(value) {
  return value === null ? '-' : `${value.toFixed(value < 100 ? 2 : 0)} s`;
}

export function ratio(value, base) {
  return value === null || base === null ? '-' : `${(value / base).toFixed(2)} x`;
}

/** `HEAD 2000, GET 2`: the most frequent first. */
export function methods(counts) {
  const sorted = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return sorted.map(([method, count]) => `${method} ${count}`).join(', ') || 'none';
}

/** The limits of the project's first issue, and whether this run keeps them. */
export function verdicts(figures) {
  const checks = [];
  const check = (what, value, limit, unit = '') =>
    checks.push({ what, value: `${round(value)}${unit}`, limit: `${limit}${unit}`, ok: value <= limit });
  for (const { repositories, houba, regsync, counted, events, memory, allowed } of figures.idle ?? []) {
    const name = `nothing to do, ${repositories} x ${figures.tags}`;
    check(`${name}: time against regsync`, houba.median / regsync.median, allowed.ratio, ' x');
    check(`${name}: requests`, counted.houba.all, allowed.requests);
    check(`${name}: history events of a policy`, events.most, 50);
    if (memory !== null) check(`${name}: worker's peak memory above idle`, memory.peak - memory.idle, 300, ' MiB');
  }
  if (figures.first) {
    const { houba, syft } = figures.first;
    check(`first import of ${figures.images}: time against bare syft runs`, houba.seconds / syft.seconds, 0.75, ' x');
  }
  return checks;
}

function round(value) {
  return value < 10 ? Math.round(value * 100) / 100 : Math.round(value);
}
