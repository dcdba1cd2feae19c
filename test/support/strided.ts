import fc from 'fast-check';
import type { Device } from '../../ts/device/device.ts';
import { forEachPosition } from '../../ts/device/host-access.ts';
import { Tensor } from '../../ts/device/tensor.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { contiguousStrides, Layout } from '../../ts/tensor/layout.ts';
import { elements, rounded, uniform } from './values.ts';

/** How the dimensions of a tensor lie in memory: order, steps, reversals, a gap in front. */
export interface Stride {
  readonly order: readonly number[];
  readonly steps: readonly number[];
  readonly offset: number;
}

/** Any way to lay out `rank` dimensions without overlap: permuted, with gaps, reversed, at an offset. */
export const anyStride = (rank: number): fc.Arbitrary<Stride> =>
  fc.record({
    order: fc.shuffledSubarray(
      Array.from({ length: rank }, (_, i) => i),
      { minLength: rank, maxLength: rank },
    ),
    steps: fc.array(fc.constantFrom(1, 1, 1, 2, 3, -1, -2), { minLength: rank, maxLength: rank }),
    offset: fc.constantFrom(0, 0, 1, 5),
  });

export const plainStride = (rank: number): Stride => ({
  order: Array.from({ length: rank }, (_, i) => i),
  steps: new Array<number>(rank).fill(1),
  offset: 0,
});

/** The layout of `shape` in that manner, and the elements of memory that it takes. */
export function stridedLayout(shape: readonly number[], { order, steps, offset }: Stride) {
  const stored = order.map((d) => shape[d]! * Math.abs(steps[d]!));
  const storedStrides = contiguousStrides(stored);
  const strides = new Array<number>(shape.length);
  let at = offset;
  order.forEach((d, i) => {
    strides[d] = storedStrides[i]! * steps[d]!;
    if (steps[d]! < 0 && shape[d]! > 0) at += (shape[d]! - 1) * storedStrides[i]! * -steps[d]!;
  });
  return { layout: new Layout(shape, strides, at), size: offset + stored.reduce((x, y) => x * y, 1) };
}

/** A tensor laid out in that manner, and its values in row-major order. Memory between elements holds NaN. */
export function stridedTensor(device: Device, shape: readonly number[], dtype: DType, stride: Stride, seed: number) {
  const { layout, size } = stridedLayout(shape, stride);
  const values = uniform(layout.size, seed).map((value) => rounded(value, dtype));
  const memory = new Float32Array(size).fill(DTYPES[dtype].float ? Number.NaN : 77);
  forEachPosition(layout, (position, i) => {
    memory[position] = values[i]!;
  });
  const whole = device.tensor(elements(memory, dtype), { shape: [size], dtype });
  const tensor = new Tensor(whole.buffer.retain(), dtype, layout);
  whole.dispose();
  return { tensor, values };
}
