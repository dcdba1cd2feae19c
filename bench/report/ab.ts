import type { AbResult } from '../ab/run.ts';
import { milliseconds, ratio, styled, verdict } from './format.ts';
import { renderTable } from './table.ts';

/** A/B results for people. */
export function abReport(results: readonly AbResult[], threshold: number): string {
  const table = renderTable<AbResult>(
    [
      { header: 'case', cell: ({ a, b }) => (a.case === b.case ? a.case : `${a.case} | ${b.case}`) },
      { header: 'A ms', align: 'right', cell: ({ a }) => milliseconds(a.ms.p50) },
      { header: 'B ms', align: 'right', cell: ({ b }) => milliseconds(b.ms.p50) },
      { header: 'passes', align: 'right', cell: ({ passes }) => String(passes) },
      { header: 'B / A', align: 'right', cell: (result) => ratio(result.ratio) },
      { header: 'B is', cell: (result) => verdict(result.verdict) },
    ],
    results,
  );
  const sides = (['a', 'b'] as const).map((side) => {
    const { label, environment } = results[0]![side];
    const { tilewright, revision, backend, architecture, computeUnits } = environment;
    const build = `tilewright ${tilewright}${revision === null ? '' : ` at ${revision}`}`;
    return `${styled('bold', side.toUpperCase())}: ${label}: ${build}, ${backend}, ${architecture}, ${computeUnits} threads or units.`;
  });
  return [
    table,
    '',
    ...sides,
    'B / A: median of the ratios of the passes, with its 95% interval. Slower or faster: by more than ' +
      `${(100 * threshold).toFixed(0)}%, and 1 is not in the interval.`,
    '',
  ].join('\n');
}
