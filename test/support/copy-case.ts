// Strided, converting copies for the kernels of every back end: memory, parameters, and what has to come out.
import fc from 'fast-check';
import { expect } from 'vitest';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import { anyStride, plainStride, type Stride, stridedLayout } from './strided.ts';

export const COPY_TYPES: readonly DType[] = ['f32', 'f16', 'bf16', 'i8', 'i32'];

export interface CopyCase {
  readonly shape: readonly number[];
  readonly from: DType;
  readonly to: DType;
  readonly src?: Stride;
  readonly dst?: Stride;
}

function write(view: DataView, dtype: DType, index: number, value: number): void {
  if (dtype === 'f32') view.setFloat32(4 * index, value, true);
  else if (dtype === 'i8') view.setInt8(index, value);
  else if (dtype === 'i32') view.setInt32(4 * index, value, true);
  else view.setUint16(2 * index, dtype === 'f16' ? f32ToF16(value) : f32ToBf16(value), true);
}
function read(view: DataView, dtype: DType, index: number): number {
  if (dtype === 'f32') return view.getFloat32(4 * index, true);
  if (dtype === 'i8') return view.getInt8(index);
  if (dtype === 'i32') return view.getInt32(4 * index, true);
  return (dtype === 'f16' ? f16ToF32 : bf16ToF32)(view.getUint16(2 * index, true));
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

const SPECIAL = [Number.NaN, Infinity, -Infinity, 300, -300, 2.5, 3.5, -0.5, 65520, 3e9, 1e-7];
const elementOf = (dtype: DType, i: number): number => {
  if (!DTYPES[dtype].float) return dtype === 'i8' ? (i % 256) - 128 : Math.imul(i, 0x12345677);
  return SPECIAL[i] ?? ((i * 37) % 1000) / 7 - 60;
};

/** A case as a kernel is given it; `check` is for the memory of the result. */
export function makeCopy({ shape, from, to, src, dst }: CopyCase) {
  const source = stridedLayout(shape, src ?? plainStride(shape.length));
  const target = stridedLayout(shape, dst ?? plainStride(shape.length));
  const count = shape.reduce((x, y) => x * y, 1);
  const position = ({ layout }: typeof source, i: number) => {
    let rest = i;
    let at = layout.offset;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (rest % shape[d]!) * layout.strides[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
    return at;
  };
  const bytes = new Uint8Array(source.size * DTYPES[from].bytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) write(view, from, position(source, i), elementOf(from, i));
  const pad = (list: readonly number[], fill: number) => [...new Array<number>(8 - list.length).fill(fill), ...list];
  return {
    params: {
      shape: pad(shape, 1),
      src_stride: pad(source.layout.strides, 0),
      dst_stride: pad(target.layout.strides, 0),
    },
    types: { src_dtype: DTYPES[from].id, dst_dtype: DTYPES[to].id },
    buffers: { src: bytes, dst: { bytes: target.size * DTYPES[to].bytes } },
    offsets: { src: source.layout.offset * DTYPES[from].bytes, dst: target.layout.offset * DTYPES[to].bytes },
    check: (memory: Uint8Array) => {
      const out = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
      for (let i = 0; i < count; i++) {
        const value = converted(read(view, from, position(source, i)), from, to);
        expect(read(out, to, position(target, i)), `element ${i}`).toBe(value);
      }
    },
  };
}

/** Any shape, dtypes, strides and offsets, by any of a kernel's methods. */
export const anyCopy = <Method>(methods: readonly Method[]) =>
  fc
    .array(fc.constantFrom<number[]>(1, 2, 3, 4, 8, 33), { minLength: 1, maxLength: 4 })
    .filter((shape) => shape.reduce((x: number, y) => x * y, 1) < 4000)
    .chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        from: fc.constantFrom(...COPY_TYPES),
        to: fc.constantFrom(...COPY_TYPES),
        src: anyStride(shape.length),
        dst: anyStride(shape.length),
        method: fc.constantFrom(...methods),
      }),
    );
