import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { hipGemm, hipGemmBF16, hipMultipliesBF16 } from '../../ts/kernels/hip/gemm.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { type HipMatmulCase, runMatmul } from './matmul-case.ts';

/** Weights are rounded to bfloat16 once decoded: to the same ones here, as what is rounded is the same f32. */
const run = (test: HipMatmulCase, rows: number) =>
  runMatmul(hipGemmBF16, { aType: 'bf16', roundedTo: 'bf16', ...test }, ({ b_dtype }) => ({ b_dtype, rows }));
const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
/** WMMA of both generations, MFMA. */
const TARGETS: readonly Target[] = ['gfx1100', 'gfx1201', 'gfx90a'];
/** One of them for each format, and all for blocks of 32 weights. */
const EVERYWHERE = ['q8_0'];
/** Blocks of 256 that the target above has. */
const LARGE: Readonly<Partial<Record<Target, string>>> = { gfx1100: 'q6_k', gfx1201: 'q4_k', gfx90a: 'q5_k' };
const CASES = FORMATS.flatMap((format, i): [string, Target][] =>
  (EVERYWHERE.includes(format) ? TARGETS : [TARGETS[i % TARGETS.length]!]).map((target) => [format, target]),
);

describe.skipIf(!hasClang).each(CASES)('HIP gemm of decoded %s on %s', (bType, target) => {
  it('multiplies tiles that are not full, and steps along k', async () => {
    await run({ m: 17, n: 67, k: 256, bType, target, orders: ['forward'] }, 16);
    await run({ m: 5, n: 67, k: 256, bType, target, orders: ['forward'], splits: 3 }, 32);
    await run({ m: 33, n: 9, k: 512, bType, target, outType: 'f16', orders: [{ random: 3 }] }, 64);
    await run({ m: 3, n: 131, k: 256, bType, target, orders: ['reverse'] }, 128);
  });
});

describe.skipIf(!hasClang)('HIP gemm of decoded weights', () => {
  it.each(TARGETS)('has a gate, bias, residual, batches and outputs of any strides on %s', async (target) => {
    await run({ m: 3, n: 40, k: 256, bType: LARGE[target]!, target, gate: true, bias: true, activation: 'silu' }, 16);
    const own = { m: 4, n: 33, k: 256, bType: 'q8_0', target, orders: ['reverse'] } as const;
    const wide = { ...own, bias: true, outLie: 'columns', alpha: -0.5, activation: 'gelu' } as const;
    await run({ ...wide, batch: 2, residual: 'f16' }, 128);
    const shared = { ...own, sharedB: true, residual: 'bf16', outLie: 'spread', outType: 'bf16' } as const;
    await run({ ...shared, batch: 2, gate: true }, 64);
  });

  it.each(TARGETS)('shares k among workgroups, and then has the epilogue on %s', async (target) => {
    const own = { m: 3, n: 40, k: 512, bType: LARGE[target]!, target, bias: true, orders: ['reverse'] } as const;
    await run({ ...own, splits: 2, activation: 'gelu', residual: 'bf16', outType: 'f16', batch: 2 }, 16);
    await run({ ...own, splits: 3, gate: true, activation: 'silu', alpha: -0.5, outType: 'bf16', batch: 2 }, 32);
    const odd = { ...own, k: 96, n: 7, bType: 'q8_0', outLie: 'columns' } as const;
    // More shares than there are steps, the last of which is not full.
    await run({ ...odd, splits: 5, sharedB: true, batch: 2, residual: 'f32' }, 64);
    await run({ ...odd, splits: 2, m: 129, gate: true, outLie: 'spread' }, 128);
  });

  it.each(TARGETS)('takes blocks that fill no step along k on %s', async (target) => {
    for (const k of [32, 96, 416]) await run({ m: 2, n: 3, k, bType: 'q8_0', target, orders: ['forward'] }, 32);
    await run({ m: 130, n: 3, k: 96, bType: 'q8_0', target, orders: ['forward'] }, 128);
  });

  it('runs on the targets that multiply matrices of bfloat16, and hip_gemm on the others', () => {
    const with16 = ['gfx90a', 'gfx942', 'gfx1100', 'gfx1151', 'gfx1201', 'sm_80'];
    for (const target of [...with16, 'gfx906', 'gfx908', 'gfx1030']) {
      expect([target, hipMultipliesBF16(target)]).toEqual([target, with16.includes(target)]);
      expect(hipGemm.runsOn(target)).toBe(!hipGemmBF16.runsOn(target));
    }
  });

  it('refuses what it cannot do', () => {
    const p = {
      ...{ m: 1, n: 1, k: 256, splits: 1, a_dtype: DTYPES.bf16.id, b_dtype: 23, batch: [1, 1, 1, 1] },
      ...{ b_stride: [144, 0], b_batch: [0, 0, 0, 0], gate_stride: [144, 0], gate_batch: [0, 0, 0, 0] },
    };
    const refuse = (own: object, rows = 128) =>
      hipGemmBF16.refuse({ ...p, ...own } as never, { b_dtype: 23, rows, gate: 0 });
    expect(refuse({})).toBeNull();
    expect(refuse({}, 96)).toMatch('no instance');
    expect(refuse({ a_dtype: DTYPES.f32.id })).toMatch('bfloat16');
    expect(refuse({ splits: 0 })).toMatch('1 to 64');
    expect(refuse({ splits: 65 })).toMatch('1 to 64');
    expect(refuse({ splits: 64, batch: [1, 1, 32, 32] })).toMatch('grid');
    expect(refuse({ k: 2 ** 24 })).toMatch('2^24');
    expect(refuse({ k: 255 })).toMatch('whole number of blocks');
    expect(refuse({ b_stride: [146, 0] })).toMatch('multiples of 16');
  });
});
