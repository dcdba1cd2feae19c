import { median } from 'd3-array';
import type { Suite, SuiteResult } from '../suites/suite.ts';
import { bound, fixed, milliseconds, ratio, share, styled } from './format.ts';
import { type Column, renderTable } from './table.ts';

/** Results for people: the table, and what the machine could do while they were measured. */
export function suiteReport<Options, Fields>(
  suite: Suite<Options, Fields>,
  results: readonly (SuiteResult & Fields)[],
): string {
  if (results.length === 0) return '';
  const table = renderTable<SuiteResult & Fields>([...suite.columns, ...commonColumns(results)], results);
  return `${table}\n\n${[...machines(results), ...notes(results)].join('\n')}\n`;
}

/** Below this, times are shown in microseconds. */
const SHORT_MS = 0.1;

/** What the results of all suites have. Columns in which there would be nothing are left out. */
function commonColumns(results: readonly SuiteResult[]): Column<SuiteResult>[] {
  const some = (test: (result: SuiteResult) => boolean) => results.some(test);
  const short = results.every(({ ms }) => ms.p50 < SHORT_MS);
  const [unit, scale] = short ? ['us', 1000] : ['ms', 1];
  const time = (ms: number) => milliseconds(ms * scale);
  const against = some((result) => result.against !== null);
  const backends = new Set(results.map(({ environment }) => environment.backend)).size;
  const right = (header: string, cell: (result: SuiteResult) => string): Column<SuiteResult> => ({
    header,
    align: 'right',
    cell,
  });
  const columns: (Column<SuiteResult> | false)[] = [
    backends > 1 && { header: 'backend', cell: ({ environment }) => environment.backend },
    right(unit, ({ ms }) => time(ms.p50)),
    right('±', ({ ms }) => `${fixed((50 * (ms.interval.high - ms.interval.low)) / ms.p50, 1)}%`),
    right('p95', ({ ms }) => time(ms.p95)),
    right('p99', ({ ms }) => time(ms.p99)),
    some(({ clock }) => clock === 'device') && right('call', ({ wallMs }) => time(wallMs.p50)),
    against && { header: 'against', cell: (result) => result.against?.name ?? '' },
    against && right(unit, (result) => (result.against === null ? '' : time(result.against.ms.p50))),
    against && right('ratio', (result) => (result.against === null ? '' : ratio(result.against.ratio))),
    !against && some(({ gflops }) => gflops >= 1) && right('GFLOP/s', ({ gflops }) => fixed(gflops, 0)),
    some(({ gbps }) => gbps >= 0.1) && right('GB/s', ({ gbps }) => fixed(gbps, 1)),
    some(({ limit }) => limit !== null && limit.intensity > 0) &&
      right('op/B', ({ limit }) => (limit === null ? '' : milliseconds(limit.intensity))),
    { header: 'limit', cell: ({ limit }) => bound(limit) },
    right('share', ({ limit }) => (limit === null ? '' : share(limit.share))),
  ];
  return columns.filter((column) => column !== false);
}

/** A line or two for each device. */
function machines(results: readonly SuiteResult[]): string[] {
  const byBackend = new Map<string, SuiteResult[]>();
  for (const result of results) {
    const { backend } = result.environment;
    byBackend.set(backend, [...(byBackend.get(backend) ?? []), result]);
  }
  return [...byBackend.values()].flatMap((own) => {
    const { environment } = own[0]!;
    const { revision } = environment;
    const samples = own.flatMap(({ bandwidth }) => bandwidth.samples);
    const peaks = new Map(
      own.flatMap(({ limit }) =>
        limit === null || limit.peakGops === null ? [] : [[limit.peakKind, limit.peakGops] as const],
      ),
    );
    return [
      `${environment.device} (${environment.backend}, ${environment.architecture}), Node ${environment.node}, ` +
        `tilewright ${environment.tilewright}${revision === null ? '' : ` at ${revision}`}.`,
      `Limits measured in this run: read ${fixed(Math.min(...samples), 1)}..${fixed(Math.max(...samples), 1)} GB/s,` +
        ` median ${fixed(median(samples)!, 1)}${[...peaks].map(([kind, gops]) => `; ${kind} ${fixed(gops, 0)} GOP/s`).join('')}.`,
    ];
  });
}

/** Others on the machine that take more than this are worth a word. */
const NOTABLE_LOAD = 0.05;
/** Cases whose outliers are named. */
const MAX_NAMED = 8;

function notes(results: readonly SuiteResult[]): string[] {
  const lines: string[] = [];
  if (results.some(({ clock }) => clock === 'device')) {
    lines.push('Times are of one operation by the device clock, the median; call: the awaited call from JavaScript.');
  } else {
    lines.push('Times are of one operation as JavaScript sees it, the median.');
  }
  lines.push(
    '±: half of the 95% interval of the median; share: the least time that the limit allows / the time taken.',
  );
  if (results.some(({ against }) => against !== null)) {
    lines.push('ratio: time / time of the way named before it, measured in turns, with its 95% interval.');
  }
  const odd = results.filter(({ ms }) => ms.outliers > 0);
  if (odd.length > 0) {
    const named = odd
      .slice(0, MAX_NAMED)
      .map(
        (result) =>
          `${result.case}: ${result.ms.outliers} of ${result.ms.samples.length}, to ${milliseconds(result.ms.max)} ms`,
      );
    const more = odd.length > named.length ? [`… and ${odd.length - named.length} more`] : [];
    lines.push(
      `Outliers (beyond three interquartile ranges; part of all figures):`,
      ...[...named, ...more].map((line) => `  ${line}`),
    );
  }
  if (results.some(({ method }) => method.quick)) {
    lines.push(styled('yellow', 'A quick run: the figures mean little.'));
  }
  const load = Math.max(...results.map(({ method }) => method.otherLoad));
  if (load >= NOTABLE_LOAD) {
    const text = `Other processes used up to ${fixed(100 * load, 0)}% of the machine meanwhile: measure again when it is idle.`;
    lines.push(styled('yellow', text));
  }
  return lines;
}
