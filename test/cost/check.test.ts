import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkModel, fitConstants, predictRun } from '../../bench/predict/check.ts';
import { fitPair } from '../../bench/predict/fit.ts';
import { PUBLISHED_MATMULS, PUBLISHED_RUNS } from '../../bench/predict/published.ts';
import { CHIPS, chipNamed, FITTED } from '../../ts/cost/index.ts';

describe('the model against published tokens a second', () => {
  const check = checkModel();

  it('decodes within 4% on average in the fit, and within 6% on chips and generations that were left out of it', () => {
    const { fitted, family, generation } = check.errors.decode;
    expect(fitted.mean).toBeLessThan(0.04);
    expect(fitted.worst).toBeLessThan(0.13);
    expect(family.mean).toBeLessThan(0.05);
    expect(generation.mean).toBeLessThan(0.06);
    expect(Math.max(family.worst, generation.worst)).toBeLessThan(0.15);
  });

  it('prefills within 3% on average, left out or not, and is never off by more than an eighth', () => {
    for (const { mean, worst } of Object.values(check.errors.prefill)) {
      expect(mean).toBeLessThan(0.03);
      expect(worst).toBeLessThan(0.125);
    }
  });

  it('knows no constant but those that fit the table', () => {
    const again = fitConstants(PUBLISHED_RUNS);
    for (const [name, value] of Object.entries(FITTED)) {
      expect(Math.abs(again[name as keyof typeof again] / value - 1), name).toBeLessThan(0.005);
    }
  });

  it('leaves chips out for their own sake: the unseen predictions differ from the fitted ones', () => {
    for (const { predicted, unseen } of check.runs) {
      expect(unseen.decode).not.toBe(predicted.decode);
      // One family among seven moves little.
      expect(Math.abs(unseen.decode / predicted.decode - 1)).toBeLessThan(0.06);
    }
    expect(Math.max(...check.runs.map(({ predicted, decode }) => Math.abs(predicted.decode / decode - 1)))).toBe(
      check.errors.decode.fitted.worst,
    );
  });

  it('foretells MLX and llama.cpp on chips that no constant has seen within a tenth', () => {
    const unseen = check.matmuls.filter(
      ({ chip, kernels }) => chipNamed(chip).generation > 2 && (kernels === 'MLX' || kernels === 'llama.cpp'),
    );
    expect(unseen.length).toBe(5);
    for (const { ms, predictedMs } of unseen) expect(Math.abs(predictedMs / ms - 1)).toBeLessThan(0.1);
    // Others' kernels are others': less than a factor of 2.3 off.
    for (const { ms, predictedMs } of check.matmuls) expect(Math.abs(Math.log(predictedMs / ms))).toBeLessThan(0.85);
  });

  it('is slower with more bytes, and faster with more bandwidth', () => {
    for (const chip of CHIPS) {
      const decode = (['f16', 'q8_0', 'q4_0'] as const).map((weights) =>
        predictRun({ chip: chip.name, weights, prefill: 0, decode: 0 }, 'decode'),
      );
      expect(decode).toEqual([...decode].sort((x, y) => x - y));
    }
    const of = (chip: string) => predictRun({ chip, weights: 'q4_0', prefill: 0, decode: 0 }, 'decode');
    for (const family of ['m1', 'm2']) {
      expect(of(`${family}-pro`)).toBeGreaterThan(of(family));
      expect(of(`${family}-max`)).toBeGreaterThan(of(`${family}-pro`));
      expect(of(`${family}-ultra`)).toBeGreaterThan(of(`${family}-max`));
    }
  });
});

describe('the published figures', () => {
  it('name chips that are known and belong to the families that the constants are fitted to', () => {
    expect(PUBLISHED_RUNS.length).toBe(45);
    for (const { chip } of PUBLISHED_RUNS) expect(chipNamed(chip).generation).toBeLessThanOrEqual(2);
    for (const { chip, source } of PUBLISHED_MATMULS) {
      expect(chipNamed(chip)).toBeDefined();
      expect(source).toMatch(/^https:/);
    }
  });
});

it('fits two parameters to points that a model explains exactly', () => {
  const parameter = fc.double({ min: 0.1, max: 50, noNaN: true });
  fc.assert(
    fc.property(parameter, parameter, (x, y) => {
      const points = [1, 2, 3, 5, 8];
      const value = (a: number, b: number, at: number) => a + Math.max(at / b, 0.001 * at);
      const [a, b] = fitPair(
        (guess) => points.map((at) => Math.log(value(...guess, at) / value(x, y, at))),
        [x * 1.5, y * 0.7],
      );
      for (const at of points) expect(value(a, b, at) / value(x, y, at)).toBeCloseTo(1, 4);
    }),
    { numRuns: 50 },
  );
});
