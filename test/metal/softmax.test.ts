import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SOFTMAX_KEPT, SOFTMAX_METHODS, softmax, softmaxVectors } from '../../ts/kernels/metal/softmax.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { contiguousStrides } from '../../ts/tensor/layout.ts';
import { firstMiss } from '../support/matmul-reference.ts';
import { EPS, rounded, uniform } from '../support/values.ts';
import { decodeFloats, encodeFloats, type FloatType } from './matmul-case.ts';
import { hasClang, launch } from './support.ts';

interface Case {
  /** Rows by length, or length by rows when `columns`. */
  readonly rows: readonly number[];
  readonly length: number;
  readonly type?: FloatType;
  readonly outType?: FloatType;
  /** The row runs across memory: the last dimension of `rows` is contiguous. */
  readonly across?: boolean;
  /** One mask for all rows, or one each; some entries are -inf, and the rows named are masked out entirely. */
  readonly mask?: 'shared' | 'own';
  readonly maskedRows?: readonly number[];
  readonly sink?: boolean;
  readonly scale?: number;
  readonly softCap?: number;
  readonly seed?: number;
  /** Rows and their elements lie from the last to the first; the mask's too. */
  readonly backwards?: boolean;
  /** Elements in memory before src, dst and mask. */
  readonly shift?: number;
}
type Method = (typeof SOFTMAX_METHODS)[number];

/** Run a case; throws when an element misses its bound. */
async function run(test: Case, method: Method, simdgroups = 2, rowSimdgroups = 1) {
  const { rows: shape, length, type = 'f32', outType = 'f32', scale = 1, softCap = 0, seed = 1 } = test;
  const rows = shape.reduce((x, y) => x * y, 1);
  // Memory: [..., length] or [length, ...].
  const full = test.across === true ? [length, ...shape] : [...shape, length];
  const { backwards = false, shift = 0 } = test;
  const sign = backwards ? -1 : 1;
  const all = contiguousStrides(full).map((stride) => sign * stride);
  const start = shift + (backwards ? rows * length - 1 : 0);
  const inner = test.across === true ? all[0]! : sign;
  const outer = test.across === true ? all.slice(1) : all.slice(0, -1);
  const padded = (list: readonly number[], fill: number) => [...new Array<number>(7 - list.length).fill(fill), ...list];
  const values = uniform(rows * length, seed).map((value) => rounded(4 * value, type));
  const positions = Array.from({ length: rows }, (_, row) => {
    let rest = row;
    let at = start;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (rest % shape[d]!) * outer[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
    return at;
  });
  const memory = new Float32Array(rows * length + shift).fill(Number.NaN);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < length; i++) memory[positions[row]! + i * inner] = values[row * length + i]!;
  }
  const masked = new Set(test.maskedRows ?? []);
  const maskCount = test.mask === 'own' ? rows * length : length;
  const mask = uniform(maskCount, seed + 1).map((value, i) => {
    const out = value > 0.5 || (test.mask === 'own' && masked.has(Math.floor(i / length)));
    return out ? Number.NEGATIVE_INFINITY : rounded(value, 'f16');
  });
  const sinks = uniform(shape[0]!, seed + 2);
  const maskStrides =
    test.mask === 'own'
      ? contiguousStrides([...shape, length])
          .slice(0, -1)
          .map((stride) => sign * stride)
      : shape.map(() => 0);
  const maskMemory = new Float32Array(shift + maskCount).fill(Number.NaN);
  maskMemory.set(backwards ? [...mask].reverse() : mask, shift);
  const offsets = {
    src: start * DTYPES[type].bytes,
    dst: start * DTYPES[outType].bytes,
    mask: 2 * (shift + (backwards ? maskCount - 1 : 0)),
  };
  const params = {
    length,
    rows,
    inner_stride: [inner, inner, test.mask === undefined ? 0 : sign],
    shape: padded(shape, 1),
    src_stride: padded(outer, 0),
    dst_stride: padded(outer, 0),
    mask_stride: padded(test.mask === undefined ? [] : maskStrides, 0),
    sink_stride: padded([1, ...shape.slice(1).map(() => 0)], 0),
    scale,
    soft_cap: softCap,
  };
  const types = {
    src_dtype: DTYPES[type].id,
    mask_dtype: DTYPES.f16.id,
    has_mask: test.mask === undefined ? 0 : 1,
  };
  const constants = {
    ...types,
    dst_dtype: DTYPES[outType].id,
    has_sink: test.sink === true ? 1 : 0,
    vector: method !== 'columns' && softmaxVectors(params, types, offsets) ? 1 : 0,
    simdgroups,
    row_simdgroups: rowSimdgroups,
    method: SOFTMAX_METHODS.indexOf(method),
  };
  const { outputs, counters } = await launch({
    kernel: softmax as never,
    constants,
    params,
    buffers: {
      src: encodeFloats(memory, type),
      dst: { bytes: (rows * length + shift) * DTYPES[outType].bytes },
      ...(test.mask && { mask: encodeFloats(maskMemory, 'f16') }),
      ...(test.sink === true && { sink: encodeFloats(sinks, 'f32') }),
    },
    offsets,
  });
  const got = decodeFloats(outputs.dst!, outType);
  const expected = new Float64Array(rows * length);
  const bounds = new Float64Array(rows * length);
  const found = new Float32Array(rows * length);
  const perSink = rows / shape[0]!;
  for (let row = 0; row < rows; row++) {
    const x = Array.from({ length }, (_, i) => {
      const scaled = scale * values[row * length + i]!;
      const capped = softCap > 0 ? softCap * Math.tanh(scaled / softCap) : scaled;
      return capped + (test.mask === undefined ? 0 : mask[test.mask === 'own' ? row * length + i : i]!);
    });
    const sink = test.sink === true ? sinks[Math.floor(row / perSink)]! : Number.NEGATIVE_INFINITY;
    const most = Math.max(sink, ...x);
    const weights = x.map((value) => (value === Number.NEGATIVE_INFINITY ? 0 : Math.exp(value - most)));
    const sum = weights.reduce((a, b) => a + b, sink === Number.NEGATIVE_INFINITY ? 0 : Math.exp(sink - most));
    // A logit's rounding (scale, cap, mask and the maximum: a few operations on numbers below `largest`) is the
    // exponential's relative error; partial sums are rescaled at most once per addition.
    const largest = Math.max(
      0,
      ...x.filter(Number.isFinite).map(Math.abs),
      Math.abs(most) === Infinity ? 0 : Math.abs(most),
    );
    const relative = EPS.f32 * (length + 24 + 16 * (largest + softCap));
    for (let i = 0; i < length; i++) {
      const at = row * length + i;
      expected[at] = sum === 0 ? 0 : weights[i]! / sum;
      found[at] = got[positions[row]! + i * inner]!;
      bounds[at] = expected[at]! * (2 * relative + EPS[outType]) + (outType === 'f16' ? 2 ** -25 : 1e-38);
    }
  }
  const miss = firstMiss(found, expected, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)} ${method}: ${miss}`);
  return { counters, bytes: rows * length * DTYPES[type].bytes };
}

describe.skipIf(!hasClang)('softmax', () => {
  it.each(['f32', 'f16', 'bf16'] as const)('reads and writes %s', async (type) => {
    await run({ rows: [5], length: 200, type, outType: type }, 'rows_kept');
    await run({ rows: [5], length: 203, type, outType: type }, 'rows_long');
    await run({ rows: [37], length: 21, type, outType: type, across: true }, 'columns');
  });

  it.each([1, 2, 31, 32, 33, 127, 128, 129, 256])('handles rows of %i', async (length) => {
    await run({ rows: [3], length, scale: 3 }, 'rows_kept');
    await run({ rows: [3], length, mask: 'shared' }, 'rows_long');
    await run({ rows: [3], length, across: true, sink: true }, 'columns');
  });

  it('shares long rows between simdgroups', async () => {
    await run({ rows: [3], length: 2000, scale: 0.5, mask: 'own' }, 'rows_kept', 8, 8);
    await run({ rows: [5], length: 1001, sink: true }, 'rows_kept', 8, 4);
    await run({ rows: [2], length: 5000, softCap: 3 }, 'rows_long', 4, 4);
  });

  it('gives zeros for rows that are masked out, with sinks or without', async () => {
    for (const sink of [false, true]) {
      const test = { rows: [2, 3], length: 40, mask: 'own', maskedRows: [0, 4, 5], sink } as const;
      for (const method of SOFTMAX_METHODS) await run(test, method);
      await run(test, 'rows_kept', 4, 2);
    }
  });

  it('reads and writes backwards, and at offsets with and without vectors', async () => {
    for (const shift of [0, 4, 3]) {
      await run({ rows: [3], length: 128, mask: 'own', sink: true, shift }, 'rows_kept');
      await run({ rows: [2, 3], length: 72, mask: 'own', type: 'f16', shift }, 'rows_long');
      await run({ rows: [2, 3], length: 44, mask: 'shared', backwards: true, shift }, 'rows_long');
      await run({ rows: [5], length: 33, mask: 'own', across: true, backwards: true, shift }, 'columns');
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
            backwards: fc.boolean(),
            shift: fc.constantFrom(0, 1, 4),
            seed: fc.nat(1000),
          },
          { requiredKeys: ['rows', 'length', 'seed'] },
        ),
        async (test) => {
          for (const method of SOFTMAX_METHODS) await run(test as Case, method);
        },
      ),
      { numRuns: 12 },
    );
  });

  it('reads rows once when it keeps them, and in whole lines across memory', async () => {
    const kept = await run({ rows: [16], length: 256 }, 'rows_kept');
    expect(kept.counters.spaces.device.bytesRead).toBe(kept.bytes);
    const across = await run({ rows: [64], length: 32, across: true }, 'columns');
    const { readLines, simdReads } = across.counters.spaces.device;
    expect(readLines / simdReads).toBe(1);
  });

  it('refuses what it cannot do', () => {
    const p = { rows: 6, shape: [1, 1, 1, 1, 1, 2, 3], length: 32 * SOFTMAX_KEPT + 1 } as never;
    const base = { src_dtype: 0, dst_dtype: 0, mask_dtype: 0, simdgroups: 2, row_simdgroups: 1, method: 1, vector: 0 };
    const refuse = (change: object) => softmax.refuse(p, { ...base, ...change } as never);
    expect(refuse({})).toBeNull();
    expect(refuse({ method: 0 })).toMatch('too long');
    expect(refuse({ method: 3 })).toMatch('method');
    expect(refuse({ method: 2, vector: 1 })).toMatch('vectors');
    expect(refuse({ row_simdgroups: 4 })).toMatch('fill');
    expect(refuse({ dst_dtype: 3 })).toMatch('f32, f16 and bf16');
    expect(softmax.refuse({ rows: 5, shape: [6] } as never, base as never)).toMatch('product');
  });
});
