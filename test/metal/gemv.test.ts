import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { GEMV_SHAPES, gemv } from '../../ts/kernels/metal/matmul.ts';
import { type FloatType, type MatmulCase, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';
import { expectWholeLines } from './whole-lines.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];

/** `rows` by `columns` outputs per simdgroup, `simdgroups` of them in a threadgroup, `split` of which share outputs. */
const shape =
  (rows: number, columns: number, split = 1, simdgroups = 2) =>
  () => ({
    ...{ rows, columns, split, simdgroups },
  });
const columnsFor = (m: number) => GEMV_SHAPES.find(([, columns]) => columns >= m)!;
const run = (test: MatmulCase, split = 1, simdgroups = 2) => {
  const [rows, columns] = columnsFor(Math.min(test.m, 16));
  return runMatmul(gemv, test, shape(rows, columns, split, simdgroups));
};

describe.skipIf(!hasClang)('gemv on block-quantized weights', () => {
  describe.each(FORMATS)('%s', (bType) => {
    it('has one row: fewer outputs than a simdgroup computes, and more than a threadgroup', async () => {
      await run({ m: 1, n: 1, k: 256, bType });
      await run({ m: 1, n: 13, k: 768, bType, seed: 5 });
    });

    it('reads weights that are not aligned, from activations that are not', async () => {
      await run({ m: 1, n: 5, k: 512, bType, narrow: true });
      await run({ m: 2, n: 5, k: 512, bType, narrow: true, aLie: 'columns', aType: 'bf16' });
    });

    it('shares long rows between simdgroups, with a gate, bias and residual', async () => {
      await run({ m: 1, n: 6, k: 1792, bType, gate: true, bias: true, residual: 'f16', activation: 'silu' }, 4, 8);
    });

    it.each([2, 3, 5, 8, 11, 16])('multiplies %i rows of a in one pass', async (m) => {
      await run({ m, n: 7, k: 512, bType, aType: m % 2 === 0 ? 'f16' : 'f32', outType: m % 2 === 0 ? 'f32' : 'f16' });
    });

    it('takes a batch of weights, and one that shares them', async () => {
      await run({ m: 1, n: 3, k: 256, bType, batch: 3 });
      await run({ m: 3, n: 5, k: 256, bType, batch: 2, sharedB: true });
    });

    it('reads every byte of the weights once, in whole lines', async () => {
      const n = 32;
      const { counters, buffers } = await run({ m: 1, n, k: 4096, bType }, 1, 2);
      const traffic = counters.buffers.find(({ index }) => index === 1)!;
      const needed = (buffers.b as Uint8Array).byteLength;
      expect(traffic.threadgroupSectors * 32).toBeLessThanOrEqual(1.1 * needed);
      expectWholeLines(counters);
    });
  });

  it('reads the weights once for sixteen rows of a', async () => {
    const { counters, buffers } = await run({ m: 16, n: 32, k: 1024, bType: 'q4_k' }, 1, 4);
    const traffic = counters.buffers.find(({ index }) => index === 1)!;
    expect(traffic.threadgroupSectors * 32).toBeLessThanOrEqual(1.1 * (buffers.b as Uint8Array).byteLength);
  });
});

describe.skipIf(!hasClang)('gemv on plain weights', () => {
  it.each(FLOATS.flatMap((aType) => FLOATS.map((bType) => [aType, bType] as const)))(
    'takes a of %s and b of %s',
    async (aType, bType) => {
      await run({ m: 1, n: 9, k: 260, aType, bType, outType: aType });
      await run({ m: 4, n: 9, k: 131, aType, bType, outType: bType });
    },
  );

  it.each([1, 2, 3, 31, 33, 127, 129])('sums over k = %i', async (k) => {
    await run({ m: 1, n: 5, k, bType: 'f16' });
    await run({ m: 3, n: 2, k, bType: 'f32', aType: 'f16' }, 2, 4);
  });

  it.each(['padded', 'odd', 'columns', 'spread'] as const)('takes weights and results that lie %s', async (lie) => {
    await run({ m: 2, n: 6, k: 64, bType: 'f16', bLie: lie, outLie: lie });
    await run({ m: 3, n: 5, k: 37, bType: 'bf16', bLie: lie, aLie: lie });
  });

  it('applies each activation', async () => {
    const kinds = ['none', 'relu', 'silu', 'gelu', 'gelu_erf', 'gelu_quick', 'sigmoid', 'tanh'] as const;
    for (const activation of kinds) {
      await run({ m: 1, n: 8, k: 16, bType: 'f32', bias: true, activation, alpha: 3 });
      await run({ m: 1, n: 8, k: 16, bType: 'f32', gate: true, activation, alpha: -0.5 });
    }
  });

  it('adds a residual of each type', async () => {
    for (const residual of FLOATS) await run({ m: 3, n: 4, k: 32, bType: 'f16', residual, batch: 2 });
  });

  it('does nothing wrong when k is 0', async () => {
    await run({ m: 1, n: 3, k: 0, bType: 'f32', bias: true });
  });

  it('refuses what it cannot do', () => {
    const p = { m: 1, n: 1, k: 33 } as never;
    const base = { a_dtype: 0, b_dtype: 16, rows: 4, columns: 1, split: 1, simdgroups: 2, b_vector: 0 };
    const refuse = (change: object) => gemv.refuse(p, { ...base, ...change } as never);
    expect(refuse({})).toMatch('whole number of blocks');
    expect(refuse({ split: 4 })).toMatch('split');
    expect(refuse({ rows: 3 })).toMatch('instance');
    expect(refuse({ a_dtype: 3 })).toMatch('f32, f16 or bf16');
    expect(refuse({ b_dtype: 3 })).toMatch('dense weights');
    expect(refuse({ b_dtype: 0, b_vector: 2 })).toMatch('metal_gemv_t');
    expect(refuse({ b_dtype: 0 })).toBeNull();
  });
});
