import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { hipGemm } from '../../ts/kernels/hip/gemm.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { type HipMatmulCase, runMatmul } from './matmul-case.ts';

const run = (test: HipMatmulCase) => runMatmul(hipGemm, test, (p) => ({ b_dtype: p.b_dtype }));
const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
/** Targets without matrix instructions on bfloat16: dot products at both wave sizes, MFMA. */
const TARGETS: readonly Target[] = ['gfx906', 'gfx1030', 'gfx908'];
/** Scales per 32 with mins and without; the other formats run at one target each, Q2_K with its scales per 16 on gfx908. */
const EVERYWHERE = ['q4_k', 'q8_0'];
const CASES = FORMATS.flatMap((format, i): [string, Target][] =>
  (EVERYWHERE.includes(format) ? TARGETS : [TARGETS[i % TARGETS.length]!]).map((target) => [format, target]),
);

describe.skipIf(!hasClang).each(CASES)('HIP gemm of %s on %s', (bType, target) => {
  it('multiplies tiles that are not full, and steps along k', async () => {
    await run({ m: 5, n: 131, k: 256, bType, target, orders: ['forward'] });
    await run({ m: 67, n: 9, k: 512, bType, target, outType: 'f16', orders: [{ random: 3 }], splits: 3 });
  });
});

describe.skipIf(!hasClang)('HIP gemm', () => {
  it.each(TARGETS)('has a gate, bias, residual, batches and outputs of any strides on %s', async (target) => {
    await run({ m: 3, n: 70, k: 256, bType: 'q4_k', target, gate: true, bias: true, activation: 'silu' });
    const own = { m: 4, n: 33, k: 256, bType: 'q8_0', target, orders: ['reverse'] } as const;
    await run({ ...own, batch: 2, residual: 'f16', bias: true, outLie: 'columns', alpha: -0.5, activation: 'gelu' });
    await run({ ...own, batch: 2, sharedB: true, residual: 'bf16', outLie: 'spread', gate: true, outType: 'bf16' });
    // More shares than there are steps, the last of which is not full.
    await run({ ...own, k: 416, n: 7, batch: 2, residual: 'f32', bias: true, gate: true, splits: 5 });
  });

  it.each(['gfx906', 'gfx908'] as const)('takes blocks that fill no step along k on %s', async (target) => {
    for (const k of [32, 96, 416]) await run({ m: 2, n: 3, k, bType: 'q8_0', target });
  });

  it('refuses what it cannot do', () => {
    const p = {
      ...{ m: 1, n: 1, k: 256, splits: 1, b_dtype: 23, batch: [1, 1, 1, 1] },
      ...{ b_stride: [144, 0], b_batch: [0, 0, 0, 0], gate_stride: [144, 0], gate_batch: [0, 0, 0, 0] },
    };
    const refuse = (params: object) => hipGemm.refuse({ ...p, ...params } as never, { b_dtype: 23, gate: 0 });
    expect(QuantFormat.get('q4_k').id).toBe(23);
    expect(refuse({})).toBeNull();
    expect(refuse({ k: 255 })).toMatch('whole number of blocks');
    expect(refuse({ b_stride: [146, 0] })).toMatch('multiples of 16');
    expect(refuse({ b_dtype: 0 })).toMatch('block-quantized');
    expect(refuse({ n: 2 ** 31 })).toMatch('grid');
  });
});
