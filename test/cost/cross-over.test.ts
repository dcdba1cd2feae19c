import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHIPS,
  chipCapabilities,
  chipNamed,
  configurationOf,
  estimateMatmul,
  plainProblem,
} from '../../ts/cost/index.ts';
import type { Capabilities } from '../../ts/device/backend.ts';
import { streamedRows } from '../../ts/dispatch/metal/cross-over.ts';
import { metalMatmul } from '../../ts/dispatch/metal/matmul.ts';
import { defaultTuning } from '../../ts/dispatch/metal/tuning.ts';
import { layerTuning } from '../../ts/dispatch/tuning.ts';

const max = chipCapabilities(chipNamed('m2-max'));
const limit = (weights: string, n: number, device: Capabilities = max, tuning = defaultTuning(device)) =>
  streamedRows(plainProblem({ m: 8, n, k: 4096, weights }), tuning, device).rows;

describe('the rows up to which weights are streamed', () => {
  it('are more where tiles leave cores idle, and fewer where blocks keep all of them busy', () => {
    expect([256, 1024, 2048, 4096, 11008, 128256].map((n) => limit('q4_0', n))).toEqual([16, 16, 8, 8, 4, 4]);
    expect([256, 1024, 2048, 4096, 11008, 128256].map((n) => limit('f16', n))).toEqual([16, 16, 8, 8, 8, 8]);
    expect(limit('q4_0', 4096, chipCapabilities(chipNamed('m1')))).toBe(4);
    expect(limit('q4_0', 11008, { ...max, simdgroupMatrix: false })).toBe(16);
  });

  it('are those that were measured or given, if there are such', () => {
    const measured = layerTuning(defaultTuning(max), { 'quantGemvRows.q4_0': 12 }, {});
    expect(limit('q4_0', 11008, max, measured as never)).toBe(12);
    expect(limit('q8_0', 11008, max, measured as never)).toBe(4);
    expect(limit('q8_0', 256, max, layerTuning(defaultTuning(max), {}, { quantGemvRows: 1 }) as never)).toBe(1);
  });

  it('never grow with n, and never fall with cores', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CHIPS), fc.constantFrom('q4_k', 'f32'), fc.nat(20000), (chip, weights, n) => {
        const device = chipCapabilities(chip);
        expect(limit(weights, n + 64, device)).toBeLessThanOrEqual(limit(weights, n + 1, device));
        const larger = { ...device, computeUnits: device.computeUnits * 2 };
        expect(limit(weights, n + 1, larger)).toBeGreaterThanOrEqual(limit(weights, n + 1, device));
      }),
    );
  });

  it('cost at most a tenth more by the model, all in all, than the better of both for every number of rows', () => {
    const shapes = [
      [4096, 4096],
      [1024, 4096],
      [14336, 4096],
      [4096, 14336],
      [256, 1024],
    ] as const;
    for (const chip of CHIPS) {
      const device = chipCapabilities(chip);
      const tuning = defaultTuning(device);
      let taken = 0;
      let best = 0;
      for (const weights of ['q4_0', 'q4_k', 'q6_k', 'f16']) {
        for (const [n, k] of shapes) {
          for (const m of [2, 4, 5, 8, 9, 16, 17]) {
            const problem = plainProblem({ m, n, k, weights });
            const [gemv, gemm] = ['metal_gemv', 'metal_gemm'].map((kernel) => {
              const plan = metalMatmul.plan(problem, kernel, device, tuning);
              return estimateMatmul(problem, configurationOf(plan), chip).ms;
            });
            taken += (m <= streamedRows(problem, tuning, device).rows ? gemv! : gemm!) / Math.min(gemv!, gemm!);
            best += 1;
          }
        }
      }
      expect(taken / best, chip.name).toBeLessThan(1.1);
    }
  });
});
