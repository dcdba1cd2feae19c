import { describe, expect, it } from 'vitest';
import { QuantFormat } from '../../ts/index.ts';
import { hipGemv, hipGemvOrder, hipGemvRows } from '../../ts/kernels/hip/gemv.ts';
import { hasClang } from '../metal/support.ts';
import type { Target } from './emulation.ts';
import { runGemv } from './gemv-case.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
/**
 * Each format runs at one wave size, those that stand for a family at both: compiling is what takes time here. At eight
 * columns formats of two scales (K-quants) have half a part in a lane, but not where registers are plenty (gfx1100).
 */
const BOTH = new Set(['q4_k', 'q6_k', 'q4_0', 'mxfp4']);
const CASES = FORMATS.flatMap((format, i): [string, Target][] => {
  const targets: Target[] = BOTH.has(format)
    ? ['gfx906', 'gfx1100']
    : [i % 2 === 0 ? 'gfx906' : format === 'q2_k' ? 'gfx1030' : 'gfx1100'];
  return targets.map((target) => [format, target]);
});

describe.skipIf(!hasClang).each(CASES)('HIP gemv of %s on %s', (format, target) => {
  it('computes one row: fewer outputs than a workgroup has, and more', async () => {
    await runGemv({ m: 1, n: 1, k: 256, format, target });
    await runGemv({ m: 1, n: 5, k: 2816, format, target, seed: 5, groups: 3 });
  });

  it('computes up to eight rows in one pass, with bias, residual and results of any strides', async () => {
    await runGemv({ m: 2, n: 3, k: 512, format, target, bias: true, outType: 'f16', orders: ['forward'] });
    await runGemv({ m: 3, n: 3, k: 768, format, target, transposed: true, alpha: -0.5, orders: ['forward'] });
    await runGemv({ m: 8, n: 3, k: 512, format, target, residual: 'f16', outType: 'bf16' });
    await runGemv({ m: 11, n: 2, k: 256, format, target, orders: ['forward'] });
  });

  it('splits long rows between waves, with a gate', async () => {
    const gated = { gate: true, bias: true, activation: 'silu', format, target } as const;
    await runGemv({ m: 1, n: 3, k: 5376, splitShift: 1, groups: 1, ...gated });
    await runGemv({ m: 7, n: 2, k: 2304, splitShift: 1, groups: 2, residual: 'f32', ...gated });
  });
});

/** By matrix instructions every format is decoded in a way of its own. */
const TILE = { target: 'gfx942', columns: 8, rows: 16 } as const;
describe.skipIf(!hasClang).each(FORMATS)('HIP gemv of %s by matrix instructions', (format) => {
  it('takes fewer rows than a tile has, and rows that end within a step', async () => {
    const small = QuantFormat.get(format).blockSize === 32;
    await runGemv({ ...TILE, format, m: 7, n: 19, k: small ? 544 : 768, groups: 1, orders: ['reverse'] });
  });
});
describe.skipIf(!hasClang).each(['q4_k', 'q6_k', 'q4_1'])('HIP gemv of %s by matrix instructions', (format) => {
  it('has a gate, splits k, and takes more rows than one pass', async () => {
    const gated = { gate: true, bias: true, activation: 'silu', residual: 'f16', outType: 'bf16' } as const;
    await runGemv({ ...TILE, format, ...gated, m: 8, n: 9, k: 768, groups: 1, splitShift: 1 });
    await runGemv({ ...TILE, format, m: 11, n: 18, k: 256, groups: 2, transposed: true, orders: ['forward'] });
  });
});

describe.skipIf(!hasClang)('HIP gemv', () => {
  it('takes blocks of 32 that fill no block of activations', async () => {
    for (const target of ['gfx906', 'gfx1100'] as const) {
      await runGemv({ m: 1, n: 3, k: 32, format: 'q4_0', target });
      await runGemv({ m: 4, n: 3, k: 896 + 32, format: 'q4_0', target });
    }
  });

  it('takes a batch of weights, and one that shares them', async () => {
    await runGemv({ m: 3, n: 3, k: 256, format: 'q4_k', target: 'gfx906', batch: 3 });
    await runGemv({ m: 2, n: 2, k: 256, format: 'q4_k', target: 'gfx1100', batch: 2, sharedB: true });
  });

  it('applies each activation', async () => {
    const kinds = ['relu', 'silu', 'gelu', 'gelu_erf', 'gelu_quick', 'sigmoid', 'tanh'] as const;
    for (const activation of kinds) {
      const own = { m: 1, n: 6, k: 256, format: 'q4_0', target: 'gfx906', activation, orders: ['forward'] } as const;
      await runGemv({ ...own, bias: true, alpha: 0.1 });
      await runGemv({ ...own, gate: true, alpha: -0.5 });
    }
  });

  it('takes two rows of weights per wave, and its own order of activations, for one row on NVIDIA GPUs', () => {
    expect([8, 100].map((rows) => hipGemvRows('sm_90', 1, 0, rows))).toEqual([1, 2]);
    expect(hipGemvRows('sm_90', 1, 1, 100)).toBe(1);
    expect(hipGemvRows('gfx906', 1, 0, 100)).toBe(1);
    const order = (architecture: string, format: string, columns: number) =>
      hipGemvOrder(architecture, QuantFormat.get(format).id!, columns);
    expect([order('sm_90', 'q3_k', 1), order('sm_90', 'q3_k', 2), order('gfx906', 'q2_k', 1)]).toEqual([33, 32, 32]);
    expect([order('sm_90', 'q4_k', 1), order('sm_90', 'mxfp4', 1), order('sm_90', 'q6_k', 1)]).toEqual([32, 16, 64]);
  });

  it('refuses what it cannot do', () => {
    const p = {
      ...{ m: 1, n: 1, k: 256, b_dtype: 23, split_shift: 0, groups: 1 },
      ...{ b_stride: [144, 0], b_batch: [0, 0, 0, 0], gate_stride: [144, 0], gate_batch: [0, 0, 0, 0] },
    };
    const c = { b_dtype: 23, columns: 1, rows: 1, gate: 0, wave: 64 };
    const refuse = (params: object, constants: object = {}) =>
      hipGemv.refuse({ ...p, ...params } as never, { ...c, ...constants });
    expect(refuse({})).toBeNull();
    expect(refuse({ k: 255 })).toMatch('whole number of blocks');
    expect(refuse({ b_stride: [146, 0] })).toMatch('multiples of 16');
    expect(refuse({ split_shift: 3 })).toMatch('no workgroup');
    expect(refuse({}, { columns: 3 })).toMatch('no instance');
    expect(refuse({}, { rows: 2 })).toBeNull();
    expect(refuse({}, { rows: 2, gate: 1 })).toMatch('no instance');
    expect(refuse({ b_dtype: 0 })).toMatch('block-quantized');
  });
});
