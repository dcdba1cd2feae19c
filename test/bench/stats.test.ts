import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
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
    expect(summarize([7])).toEqual({ p5: 7, p50: 7, p95: 7, p99: 7, min: 7, max: 7, mean: 7, mad: 0, samples: [7] });
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
