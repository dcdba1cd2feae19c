import type { Comparison } from '../baseline/compare.ts';
import { fixed, ratio, verdict } from './format.ts';
import { renderTable } from './table.ts';

/** A comparison with a baseline, for people. */
export function comparisonReport(
  comparisons: readonly Comparison[],
  told: { readonly path: string; readonly threshold: number; readonly fresh: number; readonly software: string },
): string {
  const backends = new Set(comparisons.map(({ backend }) => backend)).size > 1;
  const table = renderTable<Comparison>(
    [
      { header: 'case', cell: (row) => (backends ? `${row.backend} ${row.case}` : row.case) },
      { header: 'measured', align: 'right', cell: ({ measured }) => fixed(measured, 2) },
      { header: 'bandwidth', align: 'right', cell: ({ machine }) => fixed(1 / machine.bandwidth.median, 2) },
      {
        header: 'clock',
        align: 'right',
        cell: ({ machine }) => (machine.clock === null ? '' : fixed(1 / machine.clock.median, 2)),
      },
      { header: 'now / then', align: 'right', cell: (row) => ratio(row.ratio) },
      { header: 'verdict', cell: (row) => verdict(row.verdict) },
      { header: 'because', cell: ({ reason }) => reason },
    ],
    comparisons,
  );
  const lines = [
    `Compared with ${told.path}, threshold ${fixed(100 * told.threshold, 0)}%. measured, bandwidth, clock: now by then.`,
    'now / then: measured, less what the probes are certain of, with its 95% interval.',
  ];
  if (told.software !== '') lines.push(`Different since: ${told.software}.`);
  if (told.fresh > 0) lines.push(`${told.fresh} of the results are not in the baseline.`);
  return `\n${comparisons.length > 0 ? `${table}\n\n` : ''}${lines.join('\n')}\n`;
}
