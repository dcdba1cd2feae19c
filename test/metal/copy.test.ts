import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COPY_METHODS, copy, copyVectors } from '../../ts/kernels/metal/copy.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import { anyStride, plainStride, type Stride, stridedLayout } from '../support/strided.ts';
import { hasClang, launch } from './support.ts';

const TYPES: readonly DType[] = ['f32', 'f16', 'bf16', 'i8', 'i32'];

function write(view: DataView, dtype: DType, index: number, value: number): void {
  if (dtype === 'f32') view.setFloat32(4 * index, value, true);
  else if (dtype === 'f16') view.setUint16(2 * index, f32ToF16(value), true);
  else if (dtype === 'bf16') view.setUint16(2 * index, f32ToBf16(value), true);
  else if (dtype === 'i8') view.setInt8(index, value);
  else view.setInt32(4 * index, value, true);
}
function read(view: DataView, dtype: DType, index: number): number {
  if (dtype === 'f32') return view.getFloat32(4 * index, true);
  if (dtype === 'f16') return f16ToF32(view.getUint16(2 * index, true));
  if (dtype === 'bf16') return bf16ToF32(view.getUint16(2 * index, true));
  return dtype === 'i8' ? view.getInt8(index) : view.getInt32(4 * index, true);
}

/** What a value of `from` is in `to`: nearest, ties to even, integers saturate, NaN becomes 0 there. */
function converted(value: number, from: DType, to: DType): number {
  if (from === to) return value;
  const x = Math.fround(value);
  if (to === 'f16') return f16ToF32(f32ToF16(x));
  if (to === 'bf16') return bf16ToF32(f32ToBf16(x));
  if (to === 'f32') return x;
  if (Number.isNaN(x)) return 0;
  const [low, high] = to === 'i8' ? [-128, 127] : [-(2 ** 31), 2 ** 31 - 1];
  const down = Math.floor(x);
  const even = x - down === 0.5 ? (down % 2 === 0 ? down : down + 1) : Math.round(x);
  return Math.max(low!, Math.min(high!, even)) + 0; // + 0: integers have no negative zero
}

interface Case {
  readonly shape: readonly number[];
  readonly from: DType;
  readonly to: DType;
  readonly src?: Stride;
  readonly dst?: Stride;
  readonly method?: (typeof COPY_METHODS)[number];
}

async function run({ shape, from, to, src, dst, method = 'elements' }: Case) {
  const source = stridedLayout(shape, src ?? plainStride(shape.length));
  const target = stridedLayout(shape, dst ?? plainStride(shape.length));
  const count = shape.reduce((x, y) => x * y, 1);
  const special = [Number.NaN, Infinity, -Infinity, 300, -300, 2.5, 3.5, -0.5, 65520, 3e9, 1e-7];
  const values = Array.from({ length: count }, (_, i) => {
    if (!DTYPES[from].float) return from === 'i8' ? (i % 256) - 128 : Math.imul(i, 0x12345677);
    return i < special.length ? special[i]! : ((i * 37) % 1000) / 7 - 60;
  });
  const position = (strides: readonly number[], i: number) => {
    let rest = i;
    let at = 0;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (rest % shape[d]!) * strides[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
    return at;
  };
  const { strides: srcStrides, offset: srcStart } = source.layout;
  const { strides: dstStrides, offset: dstStart } = target.layout;
  const bytes = new Uint8Array(source.size * DTYPES[from].bytes);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    write(view, from, srcStart + position(srcStrides, i), value);
  });
  const pad = (list: readonly number[], fill: number) => [...new Array<number>(8 - list.length).fill(fill), ...list];
  const params = { shape: pad(shape, 1), src_stride: pad(srcStrides, 0), dst_stride: pad(dstStrides, 0) };
  const offsets = { src: srcStart * DTYPES[from].bytes, dst: dstStart * DTYPES[to].bytes };
  const types = { src_dtype: DTYPES[from].id, dst_dtype: DTYPES[to].id };
  const { outputs, counters } = await launch({
    kernel: copy as never,
    constants: {
      ...types,
      vector: method === 'elements' ? copyVectors(params, types, offsets) : 0,
      method: COPY_METHODS.indexOf(method),
    },
    params,
    buffers: { src: bytes, dst: { bytes: target.size * DTYPES[to].bytes } },
    offsets,
  });
  const out = new DataView(outputs.dst!.buffer, outputs.dst!.byteOffset, outputs.dst!.byteLength);
  values.forEach((_, i) => {
    const value = converted(read(view, from, srcStart + position(srcStrides, i)), from, to);
    expect(read(out, to, dstStart + position(dstStrides, i)), `element ${i}`).toBe(value);
  });
  return counters;
}

describe.skipIf(!hasClang)('copy', () => {
  it.each(TYPES.flatMap((from) => TYPES.map((to) => [from, to] as const)))('converts %s to %s', async (from, to) => {
    await run({ shape: [3, 37], from, to });
    await run({ shape: [5, 40], from, to });
    await run({ shape: [35, 34], from, to, src: { order: [1, 0], steps: [1, 1], offset: 0 }, method: 'transposed' });
  });

  it('takes vectors backwards, and none where the offset does not allow them', async () => {
    const rows = { order: [0, 1], steps: [-1, 1] };
    for (const offset of [0, 4, 1]) {
      await run({ shape: [3, 40], from: 'f16', to: 'f32', src: { ...rows, offset }, dst: { ...rows, offset } });
      await run({ shape: [3, 40], from: 'f32', to: 'bf16', src: { ...rows, offset: 0 }, dst: { ...rows, offset } });
    }
    const columns = { order: [1, 0], steps: [-1, -1], offset: 3 };
    await run({ shape: [35, 34], from: 'f16', to: 'f32', src: columns, method: 'transposed' });
  });

  it('takes any strides, forwards and backwards, at any offset', async () => {
    const dtype = fc.constantFrom(...TYPES);
    await fc.assert(
      fc.asyncProperty(
        fc
          .array(fc.constantFrom<number[]>(1, 2, 3, 4, 8, 33), { minLength: 1, maxLength: 4 })
          .filter((shape) => shape.reduce((x: number, y) => x * y, 1) < 4000)
          .chain((shape) =>
            fc.record({
              shape: fc.constant(shape),
              from: dtype,
              to: dtype,
              src: anyStride(shape.length),
              dst: anyStride(shape.length),
              method: fc.constantFrom(...COPY_METHODS),
            }),
          ),
        async (test) => {
          await run(test);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('reads and writes whole lines when it transposes', async () => {
    const src = { order: [1, 0], steps: [1, 1], offset: 0 };
    const counters = await run({ shape: [64, 96], from: 'f32', to: 'f32', src, method: 'transposed' });
    const { simdReads, readLines, simdWrites, writeLines } = counters.spaces.device;
    expect(readLines / simdReads).toBeLessThanOrEqual(1);
    expect(writeLines / simdWrites).toBeLessThanOrEqual(1);
    const { readBankCycles, writeBankCycles, simdReads: loads, simdWrites: stores } = counters.spaces.threadgroup;
    expect((readBankCycles + writeBankCycles) / (loads + stores)).toBe(1);
  });

  it('refuses what it cannot do', () => {
    const refuse = (p: object, c: object) => copy.refuse(p as never, c as never);
    const ones = new Array<number>(8).fill(1);
    expect(refuse({ shape: [1] }, {})).toMatch('8 entries');
    expect(refuse({ shape: ones }, { vector: 1, src_dtype: 3, dst_dtype: 0, method: 0 })).toMatch('vectors');
    expect(refuse({ shape: ones }, { vector: 0, method: 2 })).toMatch('method');
    expect(refuse({ shape: [2 ** 31, ...ones.slice(1)] }, { vector: 0, method: 0 })).toMatch('32 bits');
  });
});
