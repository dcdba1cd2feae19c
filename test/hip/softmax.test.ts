import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { HIP_SOFTMAX_KEPT, HIP_SOFTMAX_METHODS, hipSoftmax, hipSoftmaxVectors } from '../../ts/kernels/hip/softmax.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { contiguousStrides } from '../../ts/tensor/layout.ts';
import { decodeFloats, encodeFloats, type FloatType } from '../metal/matmul-case.ts';
import { firstMiss } from '../support/matmul-reference.ts';
import { EPS, rounded, uniform } from '../support/values.ts';
import { hasClang } from '../testbed/support.ts';
import { type Target, waveOf } from './emulation.ts';
import { launch } from './launch.ts';

type Method = (typeof HIP_SOFTMAX_METHODS)[number];
interface Case {
  readonly rows: readonly number[];
  readonly length: number;
  readonly target: Target;
  readonly type?: FloatType;
  readonly outType?: FloatType;
  /** Memory is [length, ...rows], else [...rows, length]. */
  readonly across?: boolean;
  /** One mask for all rows, or one each; some entries are -inf, and the rows named are masked out entirely. */
  readonly mask?: 'shared' | 'own';
  readonly maskedRows?: readonly number[];
  readonly sink?: boolean;
  readonly scale?: number;
  readonly softCap?: number;
  readonly seed?: number;
}

/** Run a case; throws when an element misses its bound. */
async function run(test: Case, method: Method, waves = 2, rowWaves = 1) {
  const { rows: shape, length, target, type = 'f32', outType = 'f32', scale = 1, softCap = 0, seed = 1 } = test;
  const rows = shape.reduce((x, y) => x * y, 1);
  const all = contiguousStrides(test.across === true ? [length, ...shape] : [...shape, length]);
  const [inner, outer] = test.across === true ? [all[0]!, all.slice(1)] : [1, all.slice(0, -1)];
  const padded = (list: readonly number[], fill: number) => [...new Array<number>(7 - list.length).fill(fill), ...list];
  const values = uniform(rows * length, seed).map((value) => rounded(4 * value, type));
  const start = (row: number) => (test.across === true ? row : row * length);
  const memory = new Float32Array(rows * length);
  values.forEach((value, i) => {
    memory[start(Math.floor(i / length)) + (i % length) * inner] = value;
  });
  const masked = new Set(test.maskedRows ?? []);
  const own = test.mask === 'own';
  const mask = uniform(own ? rows * length : length, seed + 1).map((value, i) =>
    value > 0.5 || (own && masked.has(Math.floor(i / length))) ? Number.NEGATIVE_INFINITY : rounded(value, 'f16'),
  );
  const sinks = uniform(shape[0]!, seed + 2);
  const lie = {
    length,
    inner_stride: [inner, inner, test.mask === undefined ? 0 : 1],
    shape: padded(shape, 1),
    src_stride: padded(outer, 0),
    mask_stride: padded(own ? contiguousStrides([...shape, length]).slice(0, -1) : [], 0),
    src_dtype: DTYPES[type].id,
    mask_dtype: DTYPES.f16.id,
  };
  const vector = method !== 'columns' && hipSoftmaxVectors(lie, test.mask !== undefined);
  const { outputs, counters } = await launch({
    kernel: hipSoftmax as unknown as AnyHipKernel,
    target,
    constants: { method: HIP_SOFTMAX_METHODS.indexOf(method) },
    params: {
      ...lie,
      rows,
      dst_stride: padded(outer, 0),
      sink_stride: padded([1, ...shape.slice(1).map(() => 0)], 0),
      scale,
      soft_cap: softCap,
      dst_dtype: DTYPES[outType].id,
      vector: vector ? 1 : 0,
      waves,
      row_waves: rowWaves,
    },
    buffers: {
      src: encodeFloats(memory, type),
      dst: { bytes: rows * length * DTYPES[outType].bytes },
      ...(test.mask && { mask: encodeFloats(mask, 'f16') }),
      ...(test.sink === true && { sink: encodeFloats(sinks, 'f32') }),
    },
  });
  const got = decodeFloats(outputs.dst!, outType);
  const expected = new Float64Array(rows * length);
  const bounds = new Float64Array(rows * length);
  const found = new Float32Array(rows * length);
  for (let row = 0; row < rows; row++) {
    const x = Array.from({ length }, (_, i) => {
      const scaled = scale * values[row * length + i]!;
      const capped = softCap > 0 ? softCap * Math.tanh(scaled / softCap) : scaled;
      return capped + (test.mask === undefined ? 0 : mask[own ? row * length + i : i]!);
    });
    const sink = test.sink === true ? sinks[Math.floor((row * shape[0]!) / rows)]! : Number.NEGATIVE_INFINITY;
    const most = Math.max(sink, ...x);
    const weights = x.map((value) => (value === Number.NEGATIVE_INFINITY ? 0 : Math.exp(value - most)));
    const sum = weights.reduce((a, b) => a + b, sink === Number.NEGATIVE_INFINITY ? 0 : Math.exp(sink - most));
    // A logit's rounding (scale, cap, mask, the maximum, the factor log2 e: a few operations on numbers below `largest`)
    // is the exponential's relative error; partial sums are rescaled at most once per addition.
    const largest = Math.max(0, ...[most, ...x].filter(Number.isFinite).map(Math.abs));
    const relative = EPS.f32 * (length + 24 + 16 * (largest + softCap));
    for (let i = 0; i < length; i++) {
      const at = row * length + i;
      expected[at] = sum === 0 ? 0 : weights[i]! / sum;
      found[at] = got[start(row) + i * inner]!;
      bounds[at] = expected[at]! * (2 * relative + EPS[outType]) + (outType === 'f16' ? 2 ** -25 : 1e-37);
    }
  }
  const miss = firstMiss(found, expected, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)} ${method}: ${miss}`);
  return { counters, bytes: rows * length * DTYPES[type].bytes };
}

describe.skipIf(!hasClang).each(['gfx906', 'gfx1100'] as const)('HIP softmax on %s', (target) => {
  it.each(['f32', 'f16', 'bf16'] as const)('reads and writes %s', async (type) => {
    await run({ rows: [5], length: 200, type, outType: type, target }, 'rows_kept');
    await run({ rows: [5], length: 203, type, outType: type, target }, 'rows_long');
    await run({ rows: [67], length: 21, type, outType: type, across: true, target }, 'columns');
  });

  it.each([1, 31, 33, 128, 257])('handles rows of %i', async (length) => {
    if (length <= HIP_SOFTMAX_KEPT * waveOf(target)) await run({ rows: [3], length, scale: 3, target }, 'rows_kept');
    await run({ rows: [3], length, mask: 'shared', target }, 'rows_long');
    await run({ rows: [3], length, across: true, sink: true, target }, 'columns');
  });

  it('shares long rows between waves', async () => {
    await run({ rows: [3], length: 1000, scale: 0.5, mask: 'own', target }, 'rows_kept', 4, 4);
    await run({ rows: [5], length: 501, sink: true, target }, 'rows_kept', 4, 2);
    await run({ rows: [2], length: 3000, softCap: 3, target }, 'rows_long', 4, 4);
  });

  it('gives zeros for rows that are masked out, with sinks or without', async () => {
    for (const sink of [false, true]) {
      const test = { rows: [2, 3], length: 40, mask: 'own', maskedRows: [0, 4, 5], sink, target } as const;
      for (const method of HIP_SOFTMAX_METHODS) await run(test, method);
      await run(test, 'rows_kept', 4, 2);
    }
  });

  it('agrees with float64 on any shape, by every method', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record(
          {
            rows: fc.array(fc.constantFrom(1, 2, 3, 5, 17), { minLength: 1, maxLength: 3 }),
            length: fc.integer({ min: 1, max: 80 }),
            type: fc.constantFrom('f32', 'f16', 'bf16'),
            across: fc.boolean(),
            mask: fc.constantFrom('shared', 'own'),
            sink: fc.boolean(),
            softCap: fc.constantFrom(0, 2.5),
            scale: fc.constantFrom(1, 0.125, -3),
            seed: fc.nat(1000),
          },
          { requiredKeys: ['rows', 'length', 'seed'] },
        ),
        async (test) => {
          for (const method of HIP_SOFTMAX_METHODS) await run({ ...(test as Omit<Case, 'target'>), target }, method);
        },
      ),
      { numRuns: 5 },
    );
  });

  it('reads rows once when it keeps them', async () => {
    const { counters, bytes } = await run({ rows: [4], length: 256, target }, 'rows_kept');
    expect(counters.spaces.device.bytesRead).toBe(bytes);
  });
});

describe('HIP softmax', () => {
  it('refuses what it cannot do', () => {
    const p = { shape: [1, 1, 1, 1, 1, 1, 3], rows: 3, length: 9, waves: 4, row_waves: 1, vector: 0 };
    const types = { src_dtype: 0, dst_dtype: 0, mask_dtype: 0 };
    const refuse = (own: object, c = { method: 0, wave: 64 }) =>
      hipSoftmax.refuse({ ...p, ...types, ...own } as never, c);
    expect(refuse({})).toBeNull();
    expect(refuse({ rows: 4 })).toMatch('product');
    expect(refuse({ src_dtype: 3 })).toMatch('f32, f16 and bf16');
    expect(refuse({ waves: 8 })).toMatch('workgroup');
    expect(refuse({ row_waves: 3 })).toMatch('fill');
    expect(refuse({ length: 513 })).toMatch('too long');
    expect(refuse({}, { method: 3, wave: 64 })).toMatch('method');
    expect(refuse({ vector: 1 }, { method: 2, wave: 32 })).toMatch('columns');
  });
});
