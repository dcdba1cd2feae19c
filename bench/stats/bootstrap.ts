import { median } from 'd3-array';
import { uniform } from './random.ts';

/** Where a figure lies with 95% confidence. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A ratio of two medians, with its interval. */
export interface Ratio extends Interval {
  readonly median: number;
}

/** Samples that were taken in rounds of `batch`, in order. */
export interface Rounds {
  readonly samples: readonly number[];
  readonly batch: number;
}

const RESAMPLES = 2000;
const TAIL = 0.025;
/** Fixed, so that the same samples always have the same interval. */
const SEED = 20;

/**
 * Medians of random selections of the rounds, each as many as there are. Rounds are drawn and not samples: the samples
 * of one round share its milliseconds of the machine, so that they are no independent witnesses, and an interval from
 * single samples would be too narrow by far.
 */
class Resampler {
  /** All samples in ascending order, and the round of each. */
  readonly #values: Float64Array;
  readonly #rounds: Uint32Array;
  readonly #times: Uint32Array;
  readonly #next: () => number;

  constructor({ samples, batch }: Rounds, seed: number) {
    const order = samples.map((_, i) => i).sort((x, y) => samples[x]! - samples[y]!);
    this.#values = Float64Array.from(order, (i) => samples[i]!);
    // Numbered as they first appear among the sorted values: what is drawn does not depend on the order in time.
    const numbers = new Map<number, number>();
    this.#rounds = Uint32Array.from(order, (i) => {
      const round = Math.floor(i / batch);
      const number = numbers.get(round) ?? numbers.size;
      numbers.set(round, number);
      return number;
    });
    this.#times = new Uint32Array(numbers.size);
    this.#next = uniform(seed);
  }

  median(): number {
    const times = this.#times;
    times.fill(0);
    for (let i = 0; i < times.length; i++) times[Math.floor(this.#next() * times.length)]!++;
    let total = 0;
    for (const round of this.#rounds) total += times[round]!;
    let below = 0;
    let lower = Number.NaN;
    for (let i = 0; i < this.#values.length; i++) {
      below += times[this.#rounds[i]!]!;
      if (Number.isNaN(lower) && 2 * below >= total) {
        lower = this.#values[i]!;
        if (2 * below > total) return lower;
      } else if (2 * below > total) {
        return (lower + this.#values[i]!) / 2;
      }
    }
    return lower;
  }
}

function intervalOf(values: Float64Array): Interval {
  values.sort();
  const at = (p: number) => values[Math.min(values.length - 1, Math.max(0, Math.round(p * (values.length - 1))))]!;
  return { low: at(TAIL), high: at(1 - TAIL) };
}

/** 95% interval of the median, by the percentile bootstrap. */
export function medianInterval(rounds: Rounds): Interval {
  const resampler = new Resampler(rounds, SEED);
  return intervalOf(Float64Array.from({ length: RESAMPLES }, () => resampler.median()));
}

/** Median of `current` by median of `base`, which were measured apart, and its interval. */
export function ratioOfMedians(current: Rounds, base: Rounds): Ratio {
  const above = new Resampler(current, SEED);
  const below = new Resampler(base, SEED + 1);
  const ratios = Float64Array.from({ length: RESAMPLES }, () => above.median() / below.median());
  return { median: median(current.samples)! / median(base.samples)!, ...intervalOf(ratios) };
}

/**
 * Median of the ratios of pairs that were measured side by side, and its interval: what the machine did meanwhile is in
 * both halves of a pair, and cancels.
 */
export function medianOfRatios(current: readonly number[], base: readonly number[]): Ratio {
  const ratios = current.slice(0, base.length).map((value, i) => value / base[i]!);
  return { median: median(ratios)!, ...medianInterval({ samples: ratios, batch: 1 }) };
}
