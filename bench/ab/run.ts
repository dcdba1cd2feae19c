import { median } from 'd3-array';
import type { Environment } from '../info/environment.ts';
import { medianOfRatios, type Ratio } from '../stats/bootstrap.ts';
import { type Summary, summarize } from '../stats/summary.ts';
import { interleave, type Measured, samplesOf } from '../suites/interleave.ts';
import type { Effort, Progress } from '../suites/session.ts';
import { Side, type SideSpec } from './side.ts';

/** One side of one case. */
export interface AbHalf {
  readonly label: string;
  readonly case: string;
  readonly ms: Summary;
  readonly bandwidth: Summary;
  readonly environment: Environment;
}

/** One case, measured on both sides in turns. */
export interface AbResult {
  readonly suite: string;
  readonly a: AbHalf;
  readonly b: AbHalf;
  readonly passes: number;
  /** B's time by A's, pass by pass. */
  readonly ratio: Ratio;
  /** What B is. */
  readonly verdict: 'same' | 'slower' | 'faster';
}

export interface AbOptions {
  readonly suite: string;
  /** Options of both sides. */
  readonly argv: readonly string[];
  readonly effort: Effort;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly threshold: number;
}

/** Measures two builds, or one with two sets of options, in turns: one round of each per pass. */
export async function* runAb(
  specs: readonly [SideSpec, SideSpec],
  options: AbOptions,
): AsyncGenerator<AbResult, void, undefined> {
  using a = await Side.open(specs[0], options.suite, options.argv);
  using b = await Side.open(specs[1], options.suite, options.argv);
  for (;;) {
    options.signal.throwIfAborted();
    // One after the other: preparing data takes all cores.
    const names = [await a.next(), await b.next()] as const;
    if (names[0] === null || names[1] === null) return;
    const measured = await interleave([a.sampler(), b.sampler()], options, `${options.suite} ${names[0]}`);
    yield resultOf(options, [a, b], names as readonly [string, string], measured as [Measured, Measured]);
  }
}

function resultOf(
  { suite, threshold }: AbOptions,
  sides: readonly [Side, Side],
  names: readonly [string, string],
  measured: readonly [Measured, Measured],
): AbResult {
  const half = (i: 0 | 1): AbHalf => {
    const { rounds } = measured[i];
    return {
      label: sides[i].spec.label,
      case: names[i],
      ms: summarize(samplesOf(rounds), rounds[0]!.samples.length),
      bandwidth: summarize(rounds.map(({ bandwidth }) => bandwidth)),
      environment: sides[i].environment,
    };
  };
  const medians = ({ rounds }: Measured) => rounds.map(({ samples }) => median(samples)!);
  const ratio = medianOfRatios(medians(measured[1]), medians(measured[0]));
  return { suite, a: half(0), b: half(1), passes: measured[0].rounds.length, ratio, verdict: judge(ratio, threshold) };
}

/** Slower or faster by more than the threshold, and certainly so; the same otherwise. */
export function judge(ratio: Ratio, threshold: number): AbResult['verdict'] {
  if (ratio.median > 1 + threshold && ratio.low > 1) return 'slower';
  if (ratio.median < 1 / (1 + threshold) && ratio.high < 1) return 'faster';
  return 'same';
}
