import { describe, expect, it } from 'vitest';
import { dequantize as decode, QuantFormat, quantize } from '../../ts/index.ts';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { hipDequantize, hipGetRows, hipRowBlocks, hipRowVectors } from '../../ts/kernels/hip/rows.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { decodeFloats, encodeFloats, type FloatType, store } from '../metal/matmul-case.ts';
import { firstMiss } from '../support/matmul-reference.ts';
import { EPS, rounded, uniform } from '../support/values.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];
type OutLie = 'rows' | 'columns' | 'padded' | 'odd';
/** Nothing in these kernels depends on the wave size: the types alternate between the two. */
const targetOf = (i: number): Target => (i % 2 === 0 ? 'gfx906' : 'gfx1100');

/** The values of a table of rows, and its bytes with `gap` bytes between rows. */
function table(type: string, rows: number, k: number, gap = 0) {
  const raw = uniform(rows * k, 1);
  if (type in DTYPES) {
    const dtype = type as FloatType;
    const values = raw.map((value) => rounded(value, dtype));
    return { values, bytes: encodeFloats(values, dtype), stride: k, id: DTYPES[dtype].id };
  }
  const format = QuantFormat.get(type);
  const packed = quantize(format.name, raw);
  const row = (k / format.blockSize) * format.blockBytes;
  const bytes = new Uint8Array(rows * (row + gap));
  for (let r = 0; r < rows; r++) bytes.set(packed.subarray(r * row, (r + 1) * row), r * (row + gap));
  return { values: decode(format.name, packed), bytes, stride: row + gap, id: format.id! };
}

/** Decoding is two roundings in f32 (one may be fused), of a product and of a difference; and one to the output's type. */
function check(got: Float32Array, values: Float32Array, type: string, outType: FloatType): void {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const own = type in DTYPES ? 0 : 4 * EPS.f32 * largest;
  const bounds = Float64Array.from(values, (value) => own + EPS[outType] * (Math.abs(value) + own) + 2 ** -25);
  const miss = firstMiss(got, Float64Array.from(values), bounds);
  if (miss !== null) throw new Error(`${type}: ${miss}`);
}
const readBack = (bytes: Uint8Array, outType: FloatType, rows: number, k: number, strides: readonly number[]) => {
  const memory = decodeFloats(bytes, outType);
  return Float32Array.from(
    { length: rows * k },
    (_, i) => memory[Math.floor(i / k) * strides[0]! + (i % k) * strides[1]!]!,
  );
};

async function runDequantize(
  type: string,
  target: Target,
  [n, k]: readonly [number, number],
  outType: FloatType,
  lie: OutLie,
  gap = 0,
) {
  const { values, bytes, stride, id } = table(type, n, k, gap);
  const goal = store(new Float32Array(n * k), 1, n, k, outType, lie);
  const dtype = DTYPES[outType].id;
  const { outputs } = await launch({
    kernel: hipDequantize as unknown as AnyHipKernel,
    target,
    constants: { format: id },
    params: {
      ...{ n, k, src_row_bytes: stride, dst_stride: goal.strides, dst_dtype: dtype },
      dst_vector: hipRowVectors(k, n, goal.strides, dtype),
      blocks: hipRowBlocks(k, id),
    },
    buffers: { src: bytes, dst: { bytes: goal.bytes.byteLength } },
  });
  check(readBack(outputs.dst!, outType, n, k, goal.strides), values, type, outType);
}

async function runGetRows(
  type: string,
  target: Target,
  indices: readonly number[],
  k: number,
  outType: FloatType,
  lie: OutLie,
  gap = 0,
) {
  const rows = 7;
  const count = indices.length;
  const { values, bytes, stride, id } = table(type, rows, k, gap);
  const goal = store(new Float32Array(count * k), 1, count, k, outType, lie);
  const dtype = DTYPES[outType].id;
  const blocks = !(type in DTYPES);
  const vector = blocks ? 0 : hipRowVectors(k, rows, [stride, 1], id);
  // Every second entry of an array.
  const index = new Int32Array(2 * count - 1).fill(99);
  indices.forEach((row, i) => {
    index[2 * i] = row;
  });
  const { outputs } = await launch({
    kernel: hipGetRows as unknown as AnyHipKernel,
    target,
    constants: { src_type: id },
    params: {
      ...{ rows, k, count, src_stride: [stride, 1], index_stride: 2, dst_stride: goal.strides },
      ...{ src_dtype: blocks ? 0 : id, dst_dtype: dtype, src_vector: vector },
      dst_vector: hipRowVectors(k, count, goal.strides, dtype),
      blocks: hipRowBlocks(k, id, vector),
    },
    buffers: { src: bytes, index: new Uint8Array(index.buffer), dst: { bytes: goal.bytes.byteLength } },
  });
  const got = readBack(outputs.dst!, outType, count, k, goal.strides);
  indices.forEach((row, i) => {
    const own = got.subarray(i * k, (i + 1) * k);
    if (row >= 0 && row < rows) check(own, values.subarray(row * k, (row + 1) * k), type, outType);
    else expect(own.every(Number.isNaN)).toBe(true);
  });
}

describe.skipIf(!hasClang)('HIP dequantize', () => {
  it.each(FORMATS.map((type, i) => [type, targetOf(i)] as const))(
    'decodes %s as the CPU does, on %s',
    async (type, target) => {
      await runDequantize(type, target, [3, 512], 'f32', 'rows');
      await runDequantize(type, target, [2, 256], 'f16', 'odd');
      await runDequantize(type, target, [2, 256], 'bf16', 'columns', 2 * QuantFormat.get(type).blockBytes);
    },
  );

  it('takes rows that are no whole number of workgroups', async () => {
    for (const k of [32, 4128]) await runDequantize('q4_0', 'gfx1100', [2, k], 'f32', 'padded');
  });

  it('refuses what it cannot do', () => {
    const p = { n: 2, k: 256, src_row_bytes: 144, dst_stride: [256, 1], dst_dtype: 0, dst_vector: 1, blocks: 1 };
    const refuse = (own: object, format = 23) => hipDequantize.refuse({ ...p, ...own }, { format });
    expect(refuse({})).toBeNull();
    expect(refuse({}, 1)).toMatch('copied');
    expect(refuse({ dst_dtype: 3 })).toMatch('f32, f16 or bf16');
    expect(refuse({ k: 100 })).toMatch('blocks');
    expect(refuse({ dst_stride: [257, 1] })).toMatch('vectors');
    expect(refuse({ src_row_bytes: 150 })).toMatch('multiples of 16');
    expect(refuse({ blocks: 2 })).toMatch('fit');
  });
});

describe.skipIf(!hasClang)('HIP get_rows', () => {
  it.each([...FORMATS, ...FLOATS].map((type, i) => [type, targetOf(i)] as const))(
    'takes rows of %s on %s, some twice and some that are not there',
    async (type, target) => {
      await runGetRows(type, target, [3, 0, 6, 3, -1, 7], 512, 'f32', 'rows');
      await runGetRows(type, target, [1, 2147483647, -2147483648], 256, 'f16', 'odd');
      await runGetRows(
        type,
        target,
        [5],
        256,
        'bf16',
        'columns',
        type in DTYPES ? 0 : QuantFormat.get(type).blockBytes,
      );
    },
  );

  it('takes plain rows of any length', async () => {
    for (const k of [1, 3, 130]) await runGetRows('f16', 'gfx906', [6, 2], k, 'f32', 'padded');
  });

  it('refuses what it cannot do', () => {
    const p = {
      ...{ rows: 4, k: 256, count: 2, src_stride: [256, 1], index_stride: 1, dst_stride: [256, 1] },
      ...{ src_dtype: 1, dst_dtype: 0, src_vector: 1, dst_vector: 1, blocks: 1 },
    };
    const refuse = (own: object, src_type = 1) => hipGetRows.refuse({ ...p, ...own }, { src_type });
    expect(refuse({})).toBeNull();
    expect(refuse({ src_dtype: 3 }, 3)).toMatch('plain tables');
    expect(refuse({ dst_dtype: 4 })).toMatch('dst');
    expect(refuse({ src_stride: [256, 2] })).toMatch('vectors');
    expect(refuse({ k: 33, src_vector: 0, dst_vector: 0, src_stride: [144, 0] }, 23)).toMatch('blocks');
  });
});
