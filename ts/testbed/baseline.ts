import type { Counters, RunFinding } from './dispatch.ts';
import type { RunResult } from './run.ts';

/** The counters that a baseline keeps: all totals, nothing that depends on line numbers. */
export type BaselineCounters = Omit<Counters, 'sites'>;
export type Baseline = Readonly<Record<string, BaselineCounters>>;

export function baselineOf(results: readonly RunResult[]): Baseline {
  const out: Record<string, BaselineCounters> = {};
  for (const { name, counters } of results) {
    if (counters === undefined) continue;
    const { sites: _, ...totals } = counters;
    out[name] = totals;
  }
  return out;
}

/** Counts are exact, so any difference from the baseline is a finding: traffic that changed has to be looked at. */
export function compareBaseline(results: readonly RunResult[], baseline: Baseline, path: string): RunFinding[] {
  const findings: RunFinding[] = [];
  const now = baselineOf(results);
  for (const { name, kernel } of results) {
    const before = baseline[name];
    const report = (message: string) =>
      findings.push({ rule: 'traffic', message, file: path, line: 1, kernel, count: 1 });
    if (before === undefined) report(`the baseline has no entry ${name}: save it again`);
    else if (now[name] !== undefined) {
      const changes = differences(before, now[name]);
      if (changes.length > 0) report(`${name} changed: ${changes.join(', ')}`);
    }
  }
  return findings;
}

function differences(before: unknown, now: unknown, path = ''): string[] {
  if (typeof before !== 'object' || before === null || typeof now !== 'object' || now === null) {
    return before === now ? [] : [`${path} ${String(before)} → ${String(now)}`];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  const at = (value: object, key: string) => (value as Readonly<Record<string, unknown>>)[key];
  return [...keys].flatMap((key) => differences(at(before, key), at(now, key), path === '' ? key : `${path}.${key}`));
}
