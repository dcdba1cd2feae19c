import { describe, expect, it } from 'vitest';
import { GEMV_T_COLUMNS, gemvT } from '../../ts/kernels/metal/matmul.ts';
import { type FloatType, type MatmulCase, runMatmul } from './matmul-case.ts';
import { hasClang } from './support.ts';
import { expectWholeLines } from './whole-lines.ts';

const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];
const run = (test: Omit<MatmulCase, 'bType'> & { readonly bType: FloatType }, simdgroups = 4) => {
  const columns = GEMV_T_COLUMNS.find((count) => count >= test.m) ?? 8;
  return runMatmul(gemvT, { bLie: 'columns', ...test }, () => ({ columns, simdgroups, split: 1, rows: 1 }));
};

describe.skipIf(!hasClang)('gemv on weights along n', () => {
  it.each(FLOATS.flatMap((aType) => FLOATS.map((bType) => [aType, bType] as const)))(
    'takes a of %s and b of %s',
    async (aType, bType) => {
      await run({ m: 1, n: 132, k: 37, aType, bType, outType: aType });
      await run({ m: 2, n: 37, k: 36, aType, bType, outType: bType });
    },
  );

  it.each([1, 2, 3, 5, 16, 17, 31])('sums over k = %i', async (k) => {
    await run({ m: 1, n: 8, k, bType: 'f16' });
    await run({ m: 3, n: 5, k, bType: 'f32', aType: 'f16' }, 8);
  });

  it.each([3, 4, 7, 8, 11])('multiplies %i rows of a', async (m) => {
    await run({ m, n: 68, k: 20, bType: 'f16', aLie: m % 2 === 0 ? 'columns' : 'odd' });
  });

  it('is right for any strides, batches and epilogues', async () => {
    await run({ m: 2, n: 35, k: 13, bType: 'bf16', bLie: 'spread', outLie: 'spread' });
    await run({
      m: 2,
      n: 40,
      k: 12,
      bType: 'f16',
      batch: 3,
      gate: true,
      bias: true,
      residual: 'bf16',
      activation: 'gelu',
    });
    await run({ m: 2, n: 40, k: 12, bType: 'f32', batch: 2, sharedB: true, narrow: true }, 1);
    await run({ m: 1, n: 33, k: 0, bType: 'f32', bias: true });
  });

  it('reads the weights once, in whole lines', async () => {
    for (const bType of FLOATS) {
      const { counters, buffers } = await run({ m: 1, n: 256, k: 512, bType }, 8);
      const traffic = counters.buffers.find(({ index }) => index === 1)!;
      expect(traffic.threadgroupSectors * 32).toBeLessThanOrEqual(1.1 * (buffers.b as Uint8Array).byteLength);
      expect(counters.spaces.device.bytesRead).toBeGreaterThanOrEqual((buffers.b as Uint8Array).byteLength);
      expectWholeLines(counters);
    }
  });

  it('refuses what it cannot do', () => {
    const p = { m: 1, n: 1, k: 256 } as never;
    const base = { a_dtype: 0, b_dtype: 1, columns: 1, simdgroups: 4, b_vector: 0 };
    const refuse = (change: object) => gemvT.refuse(p, { ...base, ...change } as never);
    expect(refuse({ b_dtype: 16 })).toMatch('contiguous along k');
    expect(refuse({ b_vector: 1 })).toMatch('metal_gemv');
    expect(refuse({ columns: 3 })).toMatch('instance');
    expect(refuse({ simdgroups: 0 })).toMatch('threadgroup');
    expect(refuse({})).toBeNull();
  });
});
