import { type Ratio, type Rounds, ratioOfMedians } from '../stats/bootstrap.ts';
import type { Summary } from '../stats/summary.ts';
import type { SuiteResult } from '../suites/suite.ts';

/** What a comparison came to. */
export type Verdict = 'same' | 'slower' | 'faster' | 'inconclusive';

/** Two measurements of one case, held against each other. */
export interface Comparison {
  readonly suite: string;
  readonly case: string;
  readonly backend: string;
  readonly verdict: Verdict;
  /** Now by then, of the times; corrected by {@link correction}. */
  readonly ratio: Ratio;
  /** Now by then, of the times as they were measured. */
  readonly measured: number;
  /** How much longer everything takes now, by the probe of the limit that binds, as far as that is certain. */
  readonly correction: number;
  /** By what factor each probe says that the machine is slower now; null where the back end has no such probe. */
  readonly machine: { readonly bandwidth: Ratio; readonly clock: Ratio | null };
  readonly reason: string;
}

export interface Rule {
  /** Slower by more than this is a regression: 0.1 is 10%. */
  readonly threshold: number;
}

/** Probes may differ by this much; beyond it the machine is not what it was. */
export const MACHINE_TOLERANCE = 0.1;
/** Others may use this share of the machine meanwhile. */
export const MAX_OTHER_LOAD = 0.1;

/**
 * Whether a case became slower. It did if the ratio of the medians, corrected by the probes, exceeds the threshold, and
 * the interval of that ratio does not hold 1. Where the probes of the two runs differ by much, or others were at work,
 * neither a pass nor a failure would be worth anything.
 */
export function compare(now: SuiteResult, then: SuiteResult, { threshold }: Rule): Comparison {
  const machine = {
    bandwidth: slowness(now.bandwidth, then.bandwidth),
    clock: now.clockGops === null || then.clockGops === null ? null : slowness(now.clockGops, then.clockGops),
  };
  const correction = certain(now.limit?.kind === 'memory' ? machine.bandwidth : machine.clock);
  const raw = ratioOfMedians(roundsOf(now.ms), roundsOf(then.ms));
  const ratio = { median: raw.median / correction, low: raw.low / correction, high: raw.high / correction };
  const verdict = (verdict: Verdict, reason: string): Comparison => ({
    suite: now.suite,
    case: now.case,
    backend: now.environment.backend,
    verdict,
    ratio,
    measured: raw.median,
    correction,
    machine,
    reason,
  });

  if (now.method.quick || then.method.quick) return verdict('inconclusive', 'a quick run says nothing of times');
  for (const [which, { method }] of [['this run', now] as const, ['the baseline', then] as const]) {
    if (method.otherLoad > MAX_OTHER_LOAD) {
      const share = `${(100 * method.otherLoad).toFixed(0)}%`;
      return verdict('inconclusive', `the machine changed: others used ${share} of it during ${which}`);
    }
  }
  // Either probe, whichever limit binds: on shared machines bandwidth tells on which cores the threads run, and
  // arithmetic was seen to change by 7% with it.
  for (const [probe, slower] of Object.entries(machine)) {
    if (slower === null) continue;
    const change = Math.max(slower.median, 1 / slower.median) - 1;
    if (change <= MACHINE_TOLERANCE) continue;
    const way = slower.median > 1 ? 'lower' : 'higher';
    return verdict('inconclusive', `the machine changed: its ${probe} is ${(100 * change).toFixed(0)}% ${way}`);
  }
  const excludes = ratio.low > 1 || ratio.high < 1;
  if (ratio.median > 1 + threshold && excludes) {
    return verdict('slower', 'beyond the threshold, and 1 is not in the interval');
  }
  if (ratio.median < 1 / (1 + threshold) && excludes) return verdict('faster', 'by more than the threshold');
  return verdict('same', excludes ? 'a difference within the threshold' : 'no difference that is certain');
}

/** Samples in the rounds in which they were taken. */
const roundsOf = ({ samples, batch }: Summary): Rounds => ({ samples, batch });

/** Rates fall as times rise. */
const slowness = (now: Summary, then: Summary): Ratio => ratioOfMedians(roundsOf(then), roundsOf(now));

/** What is left of a ratio if its interval is given the benefit of the doubt: 1 if it holds 1. */
function certain(ratio: Ratio | null): number {
  if (ratio === null) return 1;
  if (ratio.low > 1) return ratio.low;
  return ratio.high < 1 ? ratio.high : 1;
}
