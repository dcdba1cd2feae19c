// Element access from JavaScript, for host steps: the slow, general way in and out of device memory.
import { DTYPES, type DType } from '../tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../tensor/half.ts';
import type { Layout } from '../tensor/layout.ts';
import type { Tensor } from './tensor.ts';

const LOAD: Record<DType, (view: DataView, at: number) => number> = {
  f32: (view, at) => view.getFloat32(at, true),
  f16: (view, at) => f16ToF32(view.getUint16(at, true)),
  bf16: (view, at) => bf16ToF32(view.getUint16(at, true)),
  i8: (view, at) => view.getInt8(at),
  i32: (view, at) => view.getInt32(at, true),
};
const STORE: Record<DType, (view: DataView, at: number, value: number) => void> = {
  f32: (view, at, value) => view.setFloat32(at, value, true),
  f16: (view, at, value) => view.setUint16(at, f32ToF16(value), true),
  bf16: (view, at, value) => view.setUint16(at, f32ToBf16(value), true),
  i8: (view, at, value) => view.setInt8(at, toInteger(value, -(2 ** 7), 2 ** 7 - 1)),
  i32: (view, at, value) => view.setInt32(at, toInteger(value, -(2 ** 31), 2 ** 31 - 1), true),
};

/** Ties to even and saturating, NaN to 0: as the `copy` kernel converts. */
function toInteger(value: number, low: number, high: number): number {
  if (Number.isNaN(value)) return 0;
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return Math.min(Math.max(rounded, low), high);
}

/** Visit every element in row-major order with its position in the buffer, in elements. */
export function forEachPosition(layout: Layout, visit: (position: number, index: number) => void): void {
  if (layout.size === 0) return;
  const index = new Array<number>(layout.rank).fill(0);
  let position = layout.offset;
  for (let i = 0; i < layout.size; i++) {
    visit(position, i);
    for (let d = layout.rank - 1; d >= 0; d--) {
      position += layout.strides[d]!;
      if (++index[d]! < layout.shape[d]!) break;
      position -= layout.strides[d]! * layout.shape[d]!;
      index[d] = 0;
    }
  }
}

/**
 * The elements in row-major order, of `layout` if it is given: another view of the same memory. Not ordered with work in
 * flight: for host steps, which run when it is done.
 */
export function hostRead(tensor: Tensor, layout: Layout = tensor.layout): Float32Array {
  const { span, size } = layout;
  const bytes = DTYPES[tensor.dtype].bytes;
  const raw = new Uint8Array((span.to - span.from) * bytes);
  tensor.buffer.read(raw, span.from * bytes);
  const view = new DataView(raw.buffer);
  const values = new Float32Array(size);
  const load = LOAD[tensor.dtype];
  forEachPosition(layout, (position, i) => {
    values[i] = load(view, (position - span.from) * bytes);
  });
  return values;
}

/** Write elements given in row-major order; what lies between strided elements is left as it is. */
export function hostWrite(tensor: Tensor, values: Float32Array): void {
  const { span } = tensor.layout;
  const bytes = DTYPES[tensor.dtype].bytes;
  const raw = new Uint8Array((span.to - span.from) * bytes);
  if (!tensor.isContiguous) tensor.buffer.read(raw, span.from * bytes);
  const view = new DataView(raw.buffer);
  const store = STORE[tensor.dtype];
  forEachPosition(tensor.layout, (position, i) => store(view, (position - span.from) * bytes, values[i]!));
  tensor.buffer.write(raw, span.from * bytes);
}

/** The elements of an i32 tensor in row-major order; as floats large ones would be rounded. For host steps. */
export function readIndices(index: Tensor): Int32Array {
  const { span, size } = index.layout;
  const memory = new Int32Array(span.to - span.from);
  index.buffer.read(new Uint8Array(memory.buffer), 4 * span.from);
  const values = new Int32Array(size);
  forEachPosition(index.layout, (position, i) => {
    values[i] = memory[position - span.from]!;
  });
  return values;
}
