import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { medianInterval, medianOfRatios, ratioOfMedians } from '../../bench/stats/bootstrap.ts';
import { normals, uniform } from '../../bench/stats/random.ts';
import { summarize } from '../../bench/stats/summary.ts';

const samples = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 50 });
const near = (x: number, y: number) => expect(Math.abs(x - y)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(y)));

describe('summarize', () => {
  it('gives the quantiles that R and NumPy give by default', () => {
    const summary = summarize([15, 20, 35, 40, 50]);
    expect(summary).toMatchObject({ min: 15, max: 50, mean: 32, p50: 35 });
    near(summary.p5, 16);
    near(summary.p95, 48);
    near(summary.p99, 49.6);
    expect(summarize([4, 1, 3, 2]).p50).toBe(2.5);
  });

  it('measures the spread by the median deviation, which an outlier does not move', () => {
    expect(summarize([1, 1, 2, 2, 4, 6, 9]).mad).toBe(1);
    expect(summarize([1, 1, 2, 2, 4, 6, 9000]).mad).toBe(1);
  });

  it('keeps the samples as they were measured', () => {
    const measured = [3, 1, 2];
    expect(summarize(measured).samples).toEqual([3, 1, 2]);
    expect(measured).toEqual([3, 1, 2]);
  });

  it('makes one sample all of its quantiles', () => {
    expect(summarize([7])).toEqual({
      ...{ p5: 7, p50: 7, p95: 7, p99: 7, min: 7, max: 7, mean: 7, mad: 0, samples: [7] },
      interval: { low: 7, high: 7 },
      outliers: 0,
      batch: 1,
    });
  });

  it('refuses what has no summary', () => {
    for (const bad of [[], [Number.NaN], [1, Number.POSITIVE_INFINITY]]) {
      expect(() => summarize(bad)).toThrow(RangeError);
    }
  });

  it('orders the quantiles, whatever the order of the samples', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const { min, p5, p50, p95, p99, max } = summarize(values);
        expect([min, p5, p50, p95, p99, max]).toEqual([min, p5, p50, p95, p99, max].sort((x, y) => x - y));
        expect({ ...summarize([...values].reverse()), mean: 0, samples: 0 }).toEqual({
          ...summarize(values),
          mean: 0,
          samples: 0,
        });
      }),
    );
  });

  it('has at least half of the samples within one median deviation of the median', () => {
    fc.assert(
      fc.property(samples, (values) => {
        const { p50, mad } = summarize(values);
        const within = values.filter((value) => Math.abs(value - p50) <= mad * (1 + 1e-12)).length;
        expect(within).toBeGreaterThanOrEqual(values.length / 2);
      }),
    );
  });

  it('scales with its samples', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: -8, max: 8 }), (values, exponent) => {
        const factor = 2 ** exponent;
        const [plain, scaled] = [summarize(values), summarize(values.map((value) => value * factor))];
        for (const key of ['p5', 'p50', 'p95', 'p99', 'min', 'max', 'mad'] as const) {
          near(scaled[key] / factor, plain[key]);
        }
      }),
    );
  });
});

describe('outliers', () => {
  it('are counted beyond three interquartile ranges, and stay in every figure', () => {
    const values = [10, 11, 12, 13, 14];
    expect(summarize(values).outliers).toBe(0);
    expect(summarize([...values, 19, 5]).outliers).toBe(0);
    const summary = summarize([...values, 100, 5]);
    expect(summary).toMatchObject({ outliers: 1, max: 100, min: 5 });
  });
});

/** `rounds` rounds of `batch` samples: each round has a level of its own, and its samples lie close around it. */
function drifting(seed: number, rounds: number, batch: number, level: number, spread: number): number[] {
  const levels = normals(seed, rounds, spread);
  const noise = normals(seed + 1, rounds * batch, spread / 20);
  return Array.from(noise, (value, i) => level * (1 + levels[Math.floor(i / batch)]! + value));
}

describe('intervals', () => {
  it('are the same for the same samples, hold the median, and turn round with their samples', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 5 }), (values, batch) => {
        const interval = medianInterval({ samples: values, batch });
        expect(medianInterval({ samples: values, batch })).toEqual(interval);
        expect(Math.min(...values) <= interval.low && interval.low <= interval.high).toBe(true);
        expect(interval.high <= Math.max(...values)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('hold the true median as often as they say', () => {
    let hits = 0;
    const runs = 200;
    for (let run = 0; run < runs; run++) {
      const { low, high } = medianInterval({ samples: [...normals(1000 + run, 60)], batch: 1 });
      if (low <= 0 && 0 <= high) hits++;
    }
    // Six standard deviations of a binomial of 0.95; the seeds are fixed.
    expect(Math.abs(hits / runs - 0.95)).toBeLessThan(6 * Math.sqrt((0.95 * 0.05) / runs));
  });

  it('draw rounds and not samples, which lean on each other', () => {
    let hits = 0;
    let naive = 0;
    const runs = 100;
    for (let run = 0; run < runs; run++) {
      const values = drifting(5000 + 2 * run, 25, 16, 1, 0.05);
      const within = ({ low, high }: { low: number; high: number }) => low <= 1 && 1 <= high;
      if (within(medianInterval({ samples: values, batch: 16 }))) hits++;
      if (within(medianInterval({ samples: values, batch: 1 }))) naive++;
    }
    expect(hits / runs).toBeGreaterThan(0.85);
    expect(naive / runs).toBeLessThan(0.6);
  });

  it('of ratios hold the true one, and exclude 1 where the difference is plain', () => {
    const base = { samples: drifting(1, 40, 8, 2, 0.03), batch: 8 };
    const slower = { samples: drifting(3, 40, 8, 2.3, 0.03), batch: 8 };
    const ratio = ratioOfMedians(slower, base);
    expect(ratio.low).toBeGreaterThan(1.1);
    expect(ratio.low).toBeLessThan(1.15);
    expect(ratio.high).toBeGreaterThan(1.15);
    const same = ratioOfMedians({ samples: drifting(5, 40, 8, 2, 0.03), batch: 8 }, base);
    expect(same.low < 1 && 1 < same.high).toBe(true);
  });

  it('of paired ratios do not see what both halves of the pairs share', () => {
    const drift = [...normals(7, 50, 0.3)].map((value) => Math.exp(value));
    const ratio = medianOfRatios(
      drift.map((value) => 1.15 * value),
      drift,
    );
    near(ratio.low, 1.15);
    near(ratio.median, 1.15);
    near(ratio.high, 1.15);
  });
});

describe('random data', () => {
  it('is the same for the same seed and another for another', () => {
    expect(normals(5, 100)).toEqual(normals(5, 100));
    expect(normals(5, 100)).not.toEqual(normals(6, 100));
  });

  it('is uniform in [0, 1)', () => {
    const next = uniform(1);
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 16000; i++) {
      const value = next();
      expect(value >= 0 && value < 1).toBe(true);
      buckets[Math.floor(value * 16)]!++;
    }
    // Six standard deviations of a count of 1000; the seed is fixed, so this cannot fail by chance.
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(6 * Math.sqrt(1000));
  });

  it('has the deviation that was asked for, and no infinities', () => {
    const values = normals(2, 20001, 0.5);
    expect(values.every(Number.isFinite)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(variance - 0.25)).toBeLessThan(0.01);
    const neighbours = values.reduce((sum, value, i) => sum + value * (values[i + 1] ?? 0), 0) / values.length;
    expect(Math.abs(neighbours)).toBeLessThan(0.01);
  });
});
