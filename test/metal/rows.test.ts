import { describe, expect, it } from 'vitest';
import { dequantize as decode, QuantFormat, quantize } from '../../ts/index.ts';
import { dequantize, dequantizeVectors, getRows, getRowsVectors } from '../../ts/kernels/metal/rows.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { firstMiss } from '../support/matmul-reference.ts';
import { EPS, rounded, uniform } from '../support/values.ts';
import { decodeFloats, type FloatType, type Lie, store } from './matmul-case.ts';
import { hasClang, launch } from './support.ts';
import { expectWholeLines } from './whole-lines.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const FLOATS: readonly FloatType[] = ['f32', 'f16', 'bf16'];

/** How a test lays out its memory. */
interface Memory {
  readonly lie: Lie;
  /** Bytes between rows of blocks. */
  readonly gap?: number;
  /** Rows of the table from the last to the first. */
  readonly upward?: boolean;
  /** Elements (of blocks: bytes) before the table and before the result. */
  readonly shift?: number;
}

/** The values of a table of rows, its bytes, and where its first row begins. */
function table(type: string, rows: number, k: number, { gap = 0, upward = false, shift = 0 }: Memory) {
  const seed = 1;
  const raw = uniform(rows * k, seed);
  if (type in DTYPES) {
    const dtype = type as FloatType;
    const values = raw.map((value) => rounded(value, dtype));
    const { bytes, strides, offset } = store(values, 1, rows, k, dtype, upward ? 'upward' : 'rows', shift);
    return { values, bytes, stride: strides[0], id: DTYPES[dtype].id, offset };
  }
  const format = QuantFormat.get(type);
  const packed = quantize(format.name, raw);
  const row = (k / format.blockSize) * format.blockBytes;
  const bytes = new Uint8Array(rows * (row + gap) + shift).fill(0xff);
  for (let r = 0; r < rows; r++) {
    const to = upward ? rows - 1 - r : r;
    bytes.set(packed.subarray(r * row, (r + 1) * row), shift + to * (row + gap));
  }
  const stride = upward ? -(row + gap) : row + gap;
  const offset = shift + (upward ? (rows - 1) * (row + gap) : 0);
  return { values: decode(format.name, packed), bytes, stride, id: format.id!, offset };
}

/** Decoding is two roundings in f32 (one may be fused), and one to the output's type. */
function check(got: Float32Array, values: Float32Array, type: string, outType: FloatType): void {
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const own = type in DTYPES ? 0 : 4 * EPS.f32 * largest;
  const bounds = Float64Array.from(values, (value) => own + EPS[outType] * (Math.abs(value) + own) + 2 ** -25);
  const miss = firstMiss(got, Float64Array.from(values), bounds);
  if (miss !== null) throw new Error(`${type}: ${miss}`);
}

function readBack(bytes: Uint8Array, outType: FloatType, rows: number, k: number, target: ReturnType<typeof store>) {
  const memory = decodeFloats(bytes, outType);
  const { start, strides } = target;
  return Float32Array.from(
    { length: rows * k },
    (_, i) => memory[start + Math.floor(i / k) * strides[0] + (i % k) * strides[1]]!,
  );
}

async function runDequantize(type: string, n: number, k: number, outType: FloatType, memory: Memory) {
  const { values, bytes, stride, id, offset } = table(type, n, k, memory);
  const target = store(new Float32Array(n * k), 1, n, k, outType, memory.lie, memory.shift);
  const offsets = { src: offset, dst: target.offset };
  const params = { n, k, src_row_bytes: stride, dst_stride: target.strides };
  const types = { format: id, dst_dtype: DTYPES[outType].id };
  const { outputs, counters } = await launch({
    kernel: dequantize as never,
    constants: { ...types, ...dequantizeVectors(params, types, offsets) },
    params,
    buffers: { src: bytes, dst: { bytes: target.bytes.byteLength } },
    offsets,
  });
  check(readBack(outputs.dst!, outType, n, k, target), values, type, outType);
  return counters;
}

async function runGetRows(type: string, indices: readonly number[], k: number, outType: FloatType, memory: Memory) {
  const rows = 7;
  const { values, bytes, stride, id, offset } = table(type, rows, k, memory);
  const target = store(new Float32Array(indices.length * k), 1, indices.length, k, outType, memory.lie, memory.shift);
  // Indices are read backwards as well.
  const backwards = memory.upward === true;
  const index = new Uint8Array(Int32Array.from(backwards ? [...indices].reverse() : indices).buffer);
  const offsets = { src: offset, dst: target.offset, index: backwards ? 4 * (indices.length - 1) : 0 };
  const params = {
    ...{ rows, k, count: indices.length, index_stride: backwards ? -1 : 1 },
    ...{ src_stride: [stride, type in DTYPES ? 1 : 0], dst_stride: target.strides },
  };
  const types = { src_type: id, dst_dtype: DTYPES[outType].id };
  const { outputs } = await launch({
    kernel: getRows as never,
    constants: { ...types, ...getRowsVectors(params, types, offsets) },
    params,
    buffers: {
      src: bytes,
      index,
      dst: { bytes: target.bytes.byteLength },
    },
    offsets,
  });
  const got = readBack(outputs.dst!, outType, indices.length, k, target);
  indices.forEach((index, i) => {
    const row = got.subarray(i * k, (i + 1) * k);
    if (index < 0 || index >= rows) expect(row.every(Number.isNaN)).toBe(true);
    else check(row, values.subarray(index * k, (index + 1) * k), type, outType);
  });
}

describe.skipIf(!hasClang)('dequantize', () => {
  it.each(FORMATS)('decodes %s to every type and layout', async (type) => {
    await runDequantize(type, 3, 512, 'f32', { lie: 'rows' });
    await runDequantize(type, 3, 256, 'f16', { lie: 'padded', gap: 1 });
    await runDequantize(type, 2, 256, 'bf16', { lie: 'columns' });
    await runDequantize(type, 2, 768, 'f16', { lie: 'odd', gap: 16 });
    await runDequantize(type, 2, 256, 'f32', { lie: 'reversed', upward: true, shift: 3 });
    await runDequantize(type, 2, 256, 'f16', { lie: 'upward', upward: true, shift: 16 });
  });

  it('reads blocks once and writes whole lines', async () => {
    const counters = await runDequantize('q4_k', 4, 2048, 'f16', { lie: 'rows' });
    expectWholeLines(counters);
    expect(counters.buffers[0]!.threadgroupSectors * 32).toBeLessThanOrEqual(1.1 * ((4 * 2048) / 256) * 144);
  });

  it('refuses what it cannot do', () => {
    const refuse = (p: object, c: object) => dequantize.refuse(p as never, c as never);
    expect(refuse({ n: 1, k: 256 }, { format: 1, dst_dtype: 0 })).toMatch('copied');
    expect(refuse({ n: 1, k: 256 }, { format: 16, dst_dtype: 3 })).toMatch('f32, f16 or bf16');
    expect(refuse({ n: 1, k: 100 }, { format: 16, dst_dtype: 0 })).toMatch('blocks');
  });
});

describe.skipIf(!hasClang)('get_rows', () => {
  it.each([...FORMATS, ...FLOATS])('takes rows of %s, some twice and some that are not there', async (type) => {
    await runGetRows(type, [3, 0, 6, 3, -1, 7], 512, 'f32', { lie: 'rows' });
    await runGetRows(type, [1, 2147483647, -2147483648], 256, 'f16', { lie: 'odd', gap: 2 });
    await runGetRows(type, [5], 256, 'bf16', { lie: 'columns', gap: 1 });
    await runGetRows(type, [6, 0, 4], 256, 'f16', { lie: 'upward', upward: true, shift: 16 });
    await runGetRows(type, [6, 7, 1], 256, 'f32', { lie: 'columns upward', upward: true, shift: 1 });
  });

  it('takes plain rows of any length', async () => {
    for (const k of [1, 3, 130]) await runGetRows('f16', [6, 2], k, 'f32', { lie: 'padded' });
  });

  it('refuses what it cannot do', () => {
    const refuse = (p: object, c: object) => getRows.refuse(p as never, c as never);
    expect(refuse({ k: 256, count: 1 }, { src_type: 3, dst_dtype: 0 })).toMatch('plain tables');
    expect(refuse({ k: 256, count: 1 }, { src_type: 16, dst_dtype: 4 })).toMatch('dst');
    expect(refuse({ k: 33, count: 1 }, { src_type: 16, dst_dtype: 0 })).toMatch('blocks');
  });
});
