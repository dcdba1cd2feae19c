import { max, mean, median, min, quantileSorted } from 'd3-array';
import { type Interval, medianInterval } from './bootstrap.ts';

/** What a set of measured times says. Everything is in the samples' own unit. */
export interface Summary {
  readonly p5: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Median absolute deviation from the median: the spread, which a few outliers do not move. */
  readonly mad: number;
  /** 95% confidence interval of the median, from resampled rounds. */
  readonly interval: Interval;
  /** Samples more than three interquartile ranges below the first or above the third quartile. Part of all figures. */
  readonly outliers: number;
  /** Samples of a round, which follow each other. */
  readonly batch: number;
  /** As they were measured, in order. */
  readonly samples: readonly number[];
}

/** Tukey's outer fences. */
const FENCE = 3;

/**
 * Quantiles interpolate linearly between the two nearest samples (type 7 of Hyndman and Fan, as in R and NumPy).
 * Nothing is trimmed.
 * @param batch  samples of a round: they are drawn together when the interval is estimated.
 * @throws RangeError without samples, or if one is not a finite number.
 */
export function summarize(samples: readonly number[], batch = 1): Summary {
  if (samples.length === 0 || !samples.every(Number.isFinite)) {
    throw new RangeError('A summary needs at least one sample, and finite ones only.');
  }
  const sorted = [...samples].sort((a, b) => a - b);
  const quantile = (p: number) => quantileSorted(sorted, p)!;
  const p50 = quantile(0.5);
  const [q1, q3] = [quantile(0.25), quantile(0.75)];
  const reach = FENCE * (q3 - q1);
  return {
    p5: quantile(0.05),
    p50,
    p95: quantile(0.95),
    p99: quantile(0.99),
    min: min(samples)!,
    max: max(samples)!,
    mean: mean(samples)!,
    mad: median(samples, (sample) => Math.abs(sample - p50))!,
    interval: medianInterval({ samples, batch }),
    outliers: samples.filter((sample) => sample < q1 - reach || sample > q3 + reach).length,
    batch,
    samples,
  };
}
