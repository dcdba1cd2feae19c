import { max, mean, median, min, quantileSorted } from 'd3-array';

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
  /** As they were measured, in order. */
  readonly samples: readonly number[];
}

/**
 * Quantiles interpolate linearly between the two nearest samples (type 7 of Hyndman and Fan, as in R and NumPy).
 * Nothing is trimmed.
 * @throws RangeError without samples, or if one is not a finite number.
 */
export function summarize(samples: readonly number[]): Summary {
  if (samples.length === 0 || !samples.every(Number.isFinite)) {
    throw new RangeError('A summary needs at least one sample, and finite ones only.');
  }
  const sorted = [...samples].sort((a, b) => a - b);
  const quantile = (p: number) => quantileSorted(sorted, p)!;
  const p50 = quantile(0.5);
  return {
    p5: quantile(0.05),
    p50,
    p95: quantile(0.95),
    p99: quantile(0.99),
    min: min(samples)!,
    max: max(samples)!,
    mean: mean(samples)!,
    mad: median(samples, (sample) => Math.abs(sample - p50))!,
    samples,
  };
}
