import { describe, expect, it } from 'vitest';
import { type MetalConfiguration, plainProblem } from '../../ts/cost/index.ts';
import { gridOf, matmulTraffic } from '../../ts/cost/traffic.ts';
import { gemm, gemv, gemvT } from '../../ts/kernels/metal/matmul.ts';
import { type MatmulCase, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';

const NONE = { rows: 1, columns: 1, split: 1, simdgroups: 1, tile: 0, tileBytes: 2 } as const;
const cases: readonly (readonly [MatmulCase, Partial<MetalConfiguration>])[] = [
  [
    { m: 5, n: 24, k: 256, bType: 'q4_k' },
    { kernel: 'metal_gemv', rows: 4, columns: 2, simdgroups: 2 },
  ],
  [
    { m: 1, n: 30, k: 512, bType: 'f16' },
    { kernel: 'metal_gemv', rows: 4, columns: 1, simdgroups: 4, split: 2 },
  ],
  [
    { m: 3, n: 256, k: 64, bType: 'f32', bLie: 'columns' },
    { kernel: 'metal_gemv_t', columns: 2, simdgroups: 2 },
  ],
  [
    { m: 80, n: 96, k: 64, aType: 'f16', bType: 'f16' },
    { kernel: 'metal_gemm', tile: 3 },
  ],
  [
    { m: 20, n: 128, k: 64, bType: 'q8_0' },
    { kernel: 'metal_gemm', tile: 1, tileBytes: 4 },
  ],
];

describe.skipIf(!hasClang)('what the cost model says that threadgroups read', () => {
  it.each(cases)('is what they read: %o', async (test, chosen) => {
    const configuration: MetalConfiguration = { ...NONE, kernel: '', ...chosen };
    const kernel = { metal_gemv: gemv, metal_gemv_t: gemvT, metal_gemm: gemm }[configuration.kernel];
    const { rows, columns, split, simdgroups, tile, tileBytes } = configuration;
    const constants = { rows, columns, split, simdgroups, tile, tile_dtype: tileBytes === 2 ? 1 : 0 };
    const { counters } = await runMatmul(kernel, test, () => constants, ['forward']);
    const read = (buffer: number) => counters.buffers.find(({ index }) => index === buffer)!.threadgroupSectors * 32;
    const { m, n, k, bType: weights, aType = 'f32' } = test;
    const problem = plainProblem({ m, n, k, weights, aDType: aType });
    const grid = gridOf(problem, configuration);
    const traffic = matmulTraffic(problem, grid);
    expect(counters.threadgroups).toBe(grid.alongN * grid.alongM);
    expect(counters.simdgroups).toBe(counters.threadgroups * grid.simdgroups);
    expect(read(0)).toBe(traffic.aBytes * traffic.aPasses);
    expect(read(1)).toBe(traffic.weightBytes * traffic.weightPasses);
  });
});
