import { describe, expect, it } from 'vitest';
import { dequantize, QuantFormat, quantize } from '../../ts/index.ts';
import { hipGemvExact } from '../../ts/kernels/hip/exact.ts';
import type { HipMatmulParams } from '../../ts/kernels/hip/matmul.ts';
import { ACTIVATIONS, type Activation } from '../../ts/kernels/types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { decodeFloats, encodeFloats, type FloatType } from '../metal/matmul-case.ts';
import { hasClang } from '../metal/support.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { rounded, uniform } from '../support/values.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly format: string;
  readonly target: Target;
  readonly columns: number;
  readonly groups?: number;
  readonly splitShift?: number;
  readonly batch?: number;
  readonly gated?: boolean;
  readonly outType?: FloatType;
}

/** Activations in rows that are wider than k, results as columns. */
async function run({ m, n, k, target, columns, groups = 2, splitShift = 0, batch = 1, ...test }: Case) {
  const { gated = false, outType = 'f32' } = test;
  const { id, name, blockSize, blockBytes } = QuantFormat.get(test.format);
  const row = (k / blockSize) * blockBytes;
  const wide = k + 4;
  const a = uniform(batch * m * wide, 1);
  const dense = Float32Array.from({ length: batch * m * k }, (_, i) => a[Math.floor(i / k) * wide + (i % k)]!);
  const weights = (seed: number) => {
    const bytes = quantize(name, uniform(batch * n * k, seed));
    return { bytes, values: dequantize(name, bytes) };
  };
  const b = weights(2);
  const gate = gated ? weights(3) : undefined;
  const [bias, gateBias] = [uniform(n, 4), gated ? uniform(n, 5) : undefined];
  const residual = uniform(batch * m * n, 6).map((value) => rounded(value, 'f16'));
  const activation: Activation = gated ? 'silu' : 'relu';
  const params: HipMatmulParams = {
    ...{ m, n, k, split_shift: splitShift, groups, splits: 1 },
    ...{ a_stride: [wide, 1], b_stride: [row, 0], gate_stride: [row, 0] },
    ...{ out_stride: [1, m + 1], residual_stride: [n, 1], bias_stride: 1, gate_bias_stride: 1 },
    ...{ out_dtype: DTYPES[outType].id, residual_dtype: DTYPES.f16.id, bias_dtype: DTYPES.f32.id },
    ...{ activation: ACTIVATIONS[activation], alpha: -0.5, beta: 0.5, a_dtype: DTYPES.f32.id, b_dtype: id! },
    ...{ batch: [1, 1, 1, batch], a_batch: [0, 0, 0, m * wide], b_batch: [0, 0, 0, n * row] },
    ...{ gate_batch: [0, 0, 0, n * row], out_batch: [0, 0, 0, n * (m + 1)], residual_batch: [0, 0, 0, m * n] },
  };
  const { outputs } = await launch({
    kernel: hipGemvExact as never,
    target,
    constants: { b_dtype: id!, columns, gate: gated ? 1 : 0 },
    params: params as never,
    buffers: {
      ...{ a: encodeFloats(a, 'f32'), b: b.bytes, bias: encodeFloats(bias, 'f32') },
      out: { bytes: batch * n * (m + 1) * DTYPES[outType].bytes },
      residual: encodeFloats(residual, 'f16'),
      ...(gate && { gate: gate.bytes }),
      ...(gateBias && { gate_bias: encodeFloats(gateBias, 'f32') }),
    },
    orders: ['forward', { random: 3 }],
  });
  const memory = decodeFloats(outputs.out!, outType);
  const got = Float32Array.from({ length: batch * m * n }, (_, i) => {
    const [z, at, j] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
    return memory[z * n * (m + 1) + at + j * (m + 1)]!;
  });
  const { values, bounds } = referenceMatmul({
    ...{ batch, m, n, k, a: dense, b: b.values, gate: gate?.values, bias, gateBias, residual, alpha: -0.5, beta: 0.5 },
    ...{ activation, outDType: outType, fast: false },
  });
  expect(firstMiss(got, values, bounds), JSON.stringify({ m, n, k, columns, ...test })).toBeNull();
}

/** One of each way to decode; the dispatcher's tests run the others. */
const FORMATS = ['q4_0', 'q6_k', 'iq4_nl', 'q4_k'];

describe.skipIf(!hasClang)('HIP gemv of f32 activations', () => {
  it.each(FORMATS.map((format, i): [string, Target] => [format, i % 2 === 0 ? 'gfx906' : 'gfx1100']))(
    'multiplies %s weights on %s as they decode',
    async (format, target) => {
      await run({ m: 1, n: 3, k: 2816, columns: 1, groups: 1, splitShift: 1, format, target });
      await run({ m: 3, n: 5, k: 256, columns: 4, gated: true, format, target, outType: 'f16' });
    },
  );

  it('takes up to eight rows a pass, batches and long rows split between waves', async () => {
    for (const target of ['gfx906', 'gfx1100'] as const) {
      await run({ m: 11, n: 3, k: 512, columns: 8, batch: 2, format: 'q4_k', target, outType: 'bf16' });
      await run({ m: 7, n: 2, k: 5376, columns: 8, groups: 2, splitShift: 1, gated: true, format: 'q4_k', target });
    }
  });

  it('refuses what it could not read', () => {
    const c = { b_dtype: QuantFormat.get('q4_k').id!, columns: 1, gate: 0, wave: 64 };
    const p = { m: 2, n: 1, k: 256, groups: 1, split_shift: 0, a_dtype: 0, b_dtype: c.b_dtype, a_stride: [256, 1] };
    const batch = { batch: [1, 1, 1, 1], a_batch: [0, 0, 0, 0], b_batch: [0, 0, 0, 0], b_stride: [144, 0] };
    const refuse = (params: object, constants: object = {}) =>
      hipGemvExact.refuse({ ...p, ...batch, ...params } as never, { ...c, ...constants });
    expect(refuse({})).toBeNull();
    expect(refuse({ k: 255 })).toMatch('whole number of blocks');
    expect(refuse({ k: 2 ** 30 })).toMatch('29 bits');
    expect(refuse({ b_stride: [146, 0] })).toMatch('multiples of 16');
    expect(refuse({ a_stride: [258, 1] })).toMatch('multiples of 16 bytes');
    expect(refuse({ m: 1, a_stride: [258, 1] })).toBeNull();
    expect(refuse({ a_stride: [1, 2] })).toMatch('dense along k');
    expect(refuse({ a_dtype: 1 })).toMatch('not f32');
    expect(refuse({ split_shift: 3 })).toMatch('no workgroup');
    expect(refuse({}, { columns: 2 })).toMatch('no instance');
  });
});
