import { median } from 'd3-array';
import type { Suite, SuiteResult } from '../suites/suite.ts';
import { fixed, styled } from './format.ts';
import { renderTable } from './table.ts';

/** Results for people: the table, and what the machine could do while they were measured. */
export function suiteReport<Options, Result extends SuiteResult>(
  suite: Suite<Options, Result>,
  results: readonly Result[],
): string {
  if (results.length === 0) return '';
  return `${renderTable(suite.columns, results)}\n\n${machine(results)}\n${LEGEND}\n${busy(results)}`;
}

/** Others on the machine that take more than this are worth a word. */
const NOTABLE_LOAD = 0.05;

function busy(results: readonly SuiteResult[]): string {
  const load = Math.max(...results.map(({ method }) => method.otherLoad));
  if (load < NOTABLE_LOAD) return '';
  const text = `Other processes used up to ${fixed(100 * load, 0)}% of the machine meanwhile: measure again when it is idle.`;
  return `${styled('yellow', text)}\n`;
}

const LEGEND =
  'ms: one operation by the device clock, the median; call: the awaited call from JavaScript.\n' +
  'share: the least time that the limit allows / ms.';

function machine(results: readonly SuiteResult[]): string {
  const { environment } = results[0]!;
  const samples = results.flatMap(({ bandwidth }) => bandwidth.samples);
  const peaks = new Map(results.map(({ limit }) => [limit.peakKind, limit.peakGops]));
  return [
    `${environment.device} (${environment.backend}), Node ${environment.node}, tilewright ${environment.tilewright}.`,
    `Limits measured in this run: read ${fixed(Math.min(...samples), 1)}..${fixed(Math.max(...samples), 1)} GB/s,` +
      ` median ${fixed(median(samples)!, 1)}${[...peaks].map(([kind, gops]) => `; ${kind} ${fixed(gops, 0)} GOP/s`).join('')}.`,
  ].join('\n');
}
