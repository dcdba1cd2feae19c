import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { gemmThreads, THREAD_TILES, wholeTiles } from '../../ts/kernels/metal/matmul.ts';
import { type Lie, type MatmulCase, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const run = (test: MatmulCase, tile: number) =>
  runMatmul(gemmThreads, test, (p) => ({ tile, whole: wholeTiles(p, THREAD_TILES[tile]!) ? 1 : 0 }));
const named = THREAD_TILES.map(({ m, n, k }, i) => [`${m}x${n}x${k}`, i] as const);

describe.skipIf(!hasClang)('gemm without simdgroup_matrix', () => {
  describe.each(named)('tiles of %s', (_, i) => {
    const { m, n, k } = THREAD_TILES[i]!;

    it('multiplies whole tiles and ragged ones', async () => {
      await run({ m, n, k: 2 * k, bType: 'f32' }, i);
      await run({ m: 1, n: 1, k: 1, bType: 'f16' }, i);
      await run({ m: m + 1, n: n + 1, k: k + 1, bType: 'f16', aType: 'bf16', outType: 'f16' }, i);
      await run({ m: m - 1, n: n - 1, k: 2 * k - 1, bType: 'bf16', bias: true, residual: 'f32' }, i);
    });

    it('takes a batch, a gate and operands in any order', async () => {
      await run(
        { m: 5, n: 20, k: 2 * k + 4, bType: 'f16', batch: 2, sharedB: true, gate: true, activation: 'silu' },
        i,
      );
      for (const lie of ['columns', 'padded', 'odd', 'spread'] satisfies Lie[]) {
        await run({ m: 20, n: 28, k: 36, bType: 'f16', aLie: lie, bLie: lie, outLie: lie, batch: 2 }, i);
      }
    });

    it.each(FORMATS)('decodes %s', async (bType) => {
      await run({ m: m - 3, n: n + 5, k: 512, bType, aType: 'f16', bias: true }, i);
    });
  });

  it('refuses what it cannot do', () => {
    const p = { m: 33, n: 32, k: 32 } as never;
    const base = { a_dtype: 0, b_dtype: 0, tile: 0, whole: 0 };
    expect(gemmThreads.refuse(p, { ...base, tile: 2 } as never)).toMatch('no tile 2');
    expect(gemmThreads.refuse(p, { ...base, whole: 1 } as never)).toMatch('whole');
    expect(gemmThreads.refuse(p, base as never)).toBeNull();
  });
});
