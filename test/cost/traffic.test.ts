// The formulas against what the test bed counts; test/metal/traffic.test.ts holds the tables against the test bed.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DECODED_TYPES } from '../../ts/cost/formats.ts';
import {
  chipNamed,
  configurationLabel,
  estimateMatmul,
  type MetalConfiguration,
  plainProblem,
} from '../../ts/cost/index.ts';
import { gridOf, loadsPerWeight, matmulTraffic, tileTraffic } from '../../ts/cost/traffic.ts';
import { GEMM_TILES } from '../../ts/kernels/metal/matmul.ts';

const text = readFileSync(new URL('../../docs/kernels.md', import.meta.url), 'utf8');
const counted = text.slice(text.indexOf('counted: begin'), text.indexOf('counted: end'));
const rows = counted.split('\n').map((line) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim()),
);
const NONE = { rows: 1, columns: 1, split: 1, simdgroups: 4, tile: 0, tileBytes: 4 } as const;
const [N, K] = [64, 2048];

describe('counted traffic', () => {
  it('of every GEMV is what the formulas say: loads per weight for one row and for four, and weights read once', () => {
    const table = rows.filter(([kernel]) => kernel === 'gemv' || kernel === 'gemv_t');
    expect(
      table
        .filter(([kernel]) => kernel === 'gemv')
        .map(([, weights]) => weights!)
        .sort(),
    ).toEqual([...DECODED_TYPES].sort());
    for (const [kernel, weights, bytes, read, single, four] of table) {
      const loads = (m: number) => {
        const configuration = { ...NONE, kernel: `metal_${kernel}`, rows: m === 1 ? 4 : 2, columns: m };
        const problem = plainProblem({ m, n: N, k: K, weights: weights! });
        const traffic = matmulTraffic(problem, gridOf(problem, configuration));
        expect(traffic.weightBytes / (N * K)).toBeCloseTo(Number(bytes), 4);
        expect(traffic.weightPasses).toBe(1);
        // Half of the lanes of metal_gemv_t have no column of the 64 and read nothing; whole simdgroups are counted.
        return loadsPerWeight(problem, configuration) * (kernel === 'gemv_t' ? 2 : 1);
      };
      expect(Number(read)).toBeLessThanOrEqual(1);
      expect(loads(1), `${kernel} ${weights}`).toBeCloseTo(Number(single), 2);
      expect(loads(4), `${kernel} ${weights}`).toBeCloseTo(Number(four), 2);
    }
  });

  it('of every tile is what the formulas say: matrix loads, threadgroup memory and barriers', () => {
    const table = rows.filter(([tile]) => /^\d+×\d+×\d+,/.test(tile ?? ''));
    expect(table.length).toBe(2 * GEMM_TILES.length);
    table.forEach(([tile, type, loads, read, written, barriers], i) => {
      const { m, n, k, wm, wn } = GEMM_TILES[i >> 1]!;
      expect(tile).toBe(`${m}×${n}×${k}, ${wm}×${wn}`);
      const configuration = { ...NONE, kernel: 'metal_gemm', tile: i >> 1, tileBytes: type === 'f16' ? 2 : 4 } as const;
      const traffic = tileTraffic(configuration);
      expect(traffic.matrixLoads).toBeCloseTo(Number(loads), 3);
      expect(traffic.bytesRead).toBeCloseTo(Number(read), 1);
      expect(traffic.bytesWritten).toBeCloseTo(Number(written), 1);
      expect(1000 * traffic.barriers).toBeCloseTo(Number(barriers), 0);
    });
  });

  it('of the tiles without matrices is what the formulas say', () => {
    const row = rows.find(([kernel]) => kernel === 'gemm_threads')!;
    const [m, n, k] = row[1]!.match(/\d+/g)!.map(Number) as [number, number, number];
    const products = (m * n * k) / 512;
    const { bytesRead, bytesWritten, barriers } = tileTraffic({ ...NONE, kernel: 'metal_gemm_threads', tile: 1 });
    expect(row[6]).toBe(`${bytesRead * products}, ${bytesWritten * products}`);
    expect(barriers * products).toBe(Number(row[7]));
  });
});

it('reads weights again where they are too large for the cache and as many rows do not run side by side', () => {
  const chip = chipNamed('m1');
  const of = (tile: number, m: number, n: number) => {
    const configuration: MetalConfiguration = { ...NONE, kernel: 'metal_gemm', tile, tileBytes: 2 };
    const problem = plainProblem({ m, n, k: 4096, weights: 'f16' });
    const { bytes } = estimateMatmul(problem, configuration, chip);
    return { passes: bytes / (n * 4096 * 2), label: configurationLabel(configuration) };
  };
  expect(of(1, 32, 32768)).toEqual({ passes: expect.closeTo(2, 1), label: '16x64x32 1x2 f16' });
  expect(of(4, 32, 32768)).toEqual({ passes: expect.closeTo(1, 1), label: '32x64x16 1x2 f16' });
  expect(of(1, 32, 512).passes).toBeCloseTo(1.1, 0);
});
