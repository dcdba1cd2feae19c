// Products whose operands are bound at byte offsets, with strides of either sign.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import {
  GEMM_TILES,
  GEMV_SHAPES,
  GEMV_T_COLUMNS,
  gemm,
  gemmThreads,
  gemv,
  gemvT,
  THREAD_TILES,
  wholeTiles,
} from '../../ts/kernels/metal/matmul.ts';
import { type FloatType, type Lie, type MatmulCase, matmulLaunch, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const LIES: readonly Lie[] = ['rows', 'columns', 'padded', 'odd', 'spread', 'upward', 'columns upward', 'reversed'];

/** Each kernel with constants that serve any number of rows. */
const KERNELS = {
  gemv: (test: MatmulCase) => {
    const [rows, columns] = GEMV_SHAPES.find(([, count]) => count >= test.m) ?? GEMV_SHAPES[4];
    return runMatmul(gemv, test, () => ({ rows, columns, split: 2, simdgroups: 2 }));
  },
  gemv_t: (test: MatmulCase) => {
    const columns = GEMV_T_COLUMNS.find((count) => count >= test.m) ?? 8;
    return runMatmul(gemvT, test, () => ({ columns, simdgroups: 2, split: 1, rows: 1 }));
  },
  gemm: (test: MatmulCase) =>
    runMatmul(gemm, test, (p) => ({ tile: 1, tile_dtype: 0, whole: wholeTiles(p, GEMM_TILES[1]!) ? 1 : 0 })),
  gemm_threads: (test: MatmulCase) =>
    runMatmul(gemmThreads, test, (p) => ({ tile: 0, whole: wholeTiles(p, THREAD_TILES[0]!) ? 1 : 0 })),
} as const;
type Kernel = keyof typeof KERNELS;
const names = Object.keys(KERNELS) as Kernel[];

/** `gemv` and `gemv_t` leave vectors along the other dimension to each other. */
const takes = (kernel: Kernel, test: MatmulCase): boolean => {
  const access = matmulLaunch(gemv as never, test, () => ({})).launch.constants.b_vector;
  if (kernel === 'gemv') return access !== 2;
  return kernel !== 'gemv_t' || (access !== 1 && !FORMATS.includes(test.bType));
};

describe.skipIf(!hasClang)('operands at offsets, with negative strides', () => {
  it.each(names)('%s reads them backwards and in vectors', async (kernel) => {
    const [m, n, k] = kernel.startsWith('gemv') ? [2, 12, 64] : [16, 64, 64];
    const sides: Lie = kernel === 'gemv_t' ? 'columns upward' : 'upward';
    // With vectors, without because of the offset, and with nothing contiguous; the bias always lies backwards.
    for (const shift of [4, 3]) {
      const test = { m, n, k, bType: 'f16', batch: 2, aLie: sides, bLie: sides, outLie: 'reversed', shift } as const;
      await KERNELS[kernel]({ ...test, bias: true, residual: 'f16' });
    }
    const reversed = { m: m - 1, n: n + 1, k: k - 1, aLie: 'reversed', bLie: 'reversed', outLie: 'upward' } as const;
    await KERNELS[kernel]({ ...reversed, bType: 'f32', gate: true, bias: true, activation: 'silu', shift: 1 });
  });

  it.each(FORMATS)('%s weights begin anywhere, from the last row to the first', async (bType) => {
    for (const shift of [16, 1]) {
      const test = { n: 20, k: 512, bType, bLie: 'upward', aLie: 'upward', shift } as const;
      await KERNELS.gemv({ ...test, m: 1, batch: 2 });
      await KERNELS.gemm({ ...test, m: 9, gate: true, activation: 'gelu' });
    }
    await KERNELS.gemm_threads({ m: 5, n: 17, k: 256, bType, bLie: 'upward', shift: 3 });
  });

  it('loads vectors where the offset allows them', () => {
    const vectors = (shift: number) => {
      const test: MatmulCase = { m: 2, n: 8, k: 64, bType: 'f16', aLie: 'upward', bLie: 'upward', shift };
      const { a_vector, b_vector } = matmulLaunch(gemv as never, test, () => ({})).launch.constants;
      return [a_vector, b_vector];
    };
    expect(vectors(4)).toEqual([1, 1]);
    expect(vectors(3)).toEqual([0, 0]);
  });

  it('any lies, offsets, shapes and types agree with float64', async () => {
    const float = fc.constantFrom<FloatType[]>('f32', 'f16', 'bf16');
    const lie = fc.constantFrom(...LIES);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.record({
          ...{ m: fc.integer({ min: 1, max: 20 }), n: fc.integer({ min: 1, max: 70 }) },
          ...{ aType: float, outType: float, aLie: lie, bLie: lie, outLie: lie },
          // Blocks are whole.
          kind: fc.oneof(
            fc.record({ bType: float, k: fc.integer({ min: 1, max: 70 }) }),
            fc.record({ bType: fc.constantFrom(...FORMATS), k: fc.constantFrom(256, 512) }),
          ),
          ...{ batch: fc.constantFrom(1, 1, 3), shift: fc.constantFrom(0, 1, 2, 4, 7, 16) },
          ...{ gate: fc.boolean(), bias: fc.boolean(), seed: fc.nat(1000) },
        }),
        async (kernel, { kind, ...rest }) => {
          const test: MatmulCase = { ...rest, ...kind };
          fc.pre(takes(kernel, test));
          await KERNELS[kernel](test);
        },
      ),
      { numRuns: 25 },
    );
  });
});
