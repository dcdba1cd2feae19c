import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { GEMM_TILES, gemm, LARGEST_TILE, QUANT_TILES, wholeTiles } from '../../ts/kernels/metal/matmul.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { type FloatType, type Lie, type MatmulCase, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];
type Dense = Exclude<Lie, 'reversed'>;

const run = (test: MatmulCase, tile: number, tileType: 'f32' | 'f16' = 'f32') =>
  runMatmul(gemm, test, (p) => ({
    tile,
    tile_dtype: DTYPES[tileType].id,
    whole: wholeTiles(p, GEMM_TILES[tile]!) ? 1 : 0,
  }));
const named = GEMM_TILES.map(({ m, n, k, wm, wn }, i) => [`${m}x${n}x${k} by ${wm}x${wn}`, i] as const);

describe.skipIf(!hasClang)('gemm on plain operands', () => {
  describe.each(named)('tiles of %s', (_, i) => {
    const { m, n, k } = GEMM_TILES[i]!;

    it('multiplies whole tiles, in f32 and in f16', async () => {
      await run({ m, n, k: 2 * k, bType: 'f32' }, i);
      await run({ m, n, k: 3 * k, aType: 'f16', bType: 'f16', outType: 'f16' }, i, 'f16');
      await run({ m, n, k, bType: 'f32', operandBits: 11 }, i, 'f16');
    });

    it('multiplies one element, one more than a tile and one less', async () => {
      await run({ m: 1, n: 1, k: 1, bType: 'f16' }, i);
      await run({ m: m + 1, n: n + 1, k: k + 1, bType: 'f16', aType: 'bf16' }, i);
      await run({ m: m - 1, n: n - 1, k: 2 * k - 1, bType: 'f32', bias: true, residual: 'f32' }, i);
    });

    it('takes a batch, a gate and transposed operands', async () => {
      await run(
        { m: 5, n: 20, k: 2 * k + 4, bType: 'f16', batch: 2, sharedB: true, gate: true, activation: 'silu' },
        i,
      );
      await run({ m: 8, n: 12, k: 20, bType: 'f16', aType: 'f16', aLie: 'columns', bLie: 'columns', batch: 2 }, i);
    });
  });

  it.each(FLOATS.flatMap((aType) => FLOATS.map((bType) => [aType, bType] as const)))(
    'takes a of %s and b of %s',
    async (aType, bType) => {
      await run({ m: 33, n: 35, k: 20, aType, bType, outType: aType }, 3);
    },
  );

  const lies: readonly Dense[] = ['rows', 'columns', 'padded', 'odd', 'spread'];
  it.each(lies.flatMap((aLie) => lies.map((bLie) => [aLie, bLie] as const)))(
    'takes a that lies in %s and b in %s',
    async (aLie, bLie) => {
      await run({ m: 36, n: 40, k: 28, bType: 'f16', aType: 'f16', aLie, bLie, outLie: bLie }, 3);
      await run({ m: 35, n: 33, k: 19, bType: 'f32', aLie, bLie, batch: 2 }, 3);
    },
  );

  it('applies each activation, with and without a gate', async () => {
    for (const activation of ['relu', 'gelu', 'gelu_erf', 'gelu_quick', 'sigmoid', 'tanh'] as const) {
      await run({ m: 9, n: 9, k: 9, bType: 'f32', bias: true, activation, alpha: 2 }, 3);
      await run({ m: 9, n: 9, k: 9, bType: 'f32', bias: true, gate: true, residual: 'bf16', activation }, 3);
    }
  });

  it('gives the epilogue of nothing when k is 0', async () => {
    await run({ m: 9, n: 9, k: 0, bType: 'f32', bias: true }, 3);
  });

  it('refuses what it cannot do', () => {
    const p = { m: 33, n: 32, k: 32 } as never;
    const base = { a_dtype: 0, b_dtype: 0, tile: 3, tile_dtype: 0, whole: 0 };
    const refuse = (change: object) => gemm.refuse(p, { ...base, ...change } as never);
    expect(refuse({ tile_dtype: 2 })).toMatch('f32 or f16');
    expect(refuse({ tile: 9 })).toMatch('no tile 9');
    expect(refuse({ tile: 3, b_dtype: 16 })).toMatch('no tile 3');
    expect(refuse({ tile: LARGEST_TILE, b_dtype: 16, tile_dtype: 1 })).toMatch('no tile 8');
    expect(refuse({ whole: 1 })).toMatch('whole');
    expect(refuse({})).toBeNull();
  });
});

describe.skipIf(!hasClang)('gemm on block-quantized weights', () => {
  describe.each(FORMATS)('%s', (bType) => {
    it.each(named.slice(0, QUANT_TILES))('decodes to tiles of %s', async (_, i) => {
      const { m, n } = GEMM_TILES[i]!;
      await run({ m, n, k: 256, bType }, i);
      await run({ m: m - 3, n: n + 5, k: 512, bType, narrow: true, aType: 'f16', bias: true }, i);
    });

    it('decodes to the largest tile', async () => {
      await run({ m: 128, n: 64, k: 256, bType }, LARGEST_TILE);
      await run({ m: 9, n: 70, k: 256, bType, narrow: true, batch: 2, bias: true }, LARGEST_TILE);
    });

    it('decodes to tiles of f16, a gate and a batch too', async () => {
      await run({ m: 9, n: 70, k: 256, bType, operandBits: 11 }, 1, 'f16');
      await run({ m: 5, n: 40, k: 256, bType, batch: 2, gate: true, activation: 'gelu' }, 0);
    });
  });

  it('reads the weights once for sixteen rows of a', async () => {
    const { counters, buffers } = await run({ m: 16, n: 64, k: 1024, bType: 'q4_k' }, 1);
    const traffic = counters.buffers.find(({ index }) => index === 1)!;
    expect(traffic.threadgroupSectors * 32).toBeLessThanOrEqual(1.1 * (buffers.b as Uint8Array).byteLength);
  });
});
