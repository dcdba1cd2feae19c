// Parameters that the element-wise kernels of all GPU back ends have in common, from calls that were checked.
import type { SoftmaxCall } from '../device/elementwise.ts';
import type { Tensor } from '../device/tensor.ts';
import { MAX_OUTER, MAX_RANK } from '../kernels/types.ts';
import { copyOrder, lead } from './axes.ts';

const pick = (order: readonly number[], values: readonly number[]) => order.map((d) => values[d]!);

/** Shape and strides of a copy, in an order in which neighbouring threads touch neighbouring elements. */
export function copyShape(from: Tensor, to: Tensor) {
  const { order, transposed } = copyOrder(to.shape, from.strides, to.strides);
  const along = (values: readonly number[], fill: number) => lead(pick(order, values), MAX_RANK, fill);
  const params = {
    shape: along(to.shape, 1),
    src_stride: along(from.strides, 0),
    dst_stride: along(to.strides, 0),
  };
  return { params, transposed, offsets: { src: from.binding.byteOffset, dst: to.binding.byteOffset } };
}

/** The dimension across which a softmax runs best, other than the normalised one: the dense one, where that is not. */
export function softmaxAcross({ x, dimension }: SoftmaxCall): number | undefined {
  if (x.strides[dimension] === 1 || x.shape[dimension]! <= 1) return undefined;
  const across = x.shape.findIndex((size, d) => d !== dimension && size > 1 && x.strides[d] === 1);
  return across === -1 ? undefined : across;
}

/** Shape and strides of a softmax; with `across`, neighbouring lanes take neighbouring rows: it varies fastest. */
export function softmaxShape({ x, out, mask, dimension, scale }: SoftmaxCall, across: number | undefined) {
  const all = x.shape.map((_, d) => d).filter((d) => d !== dimension);
  const order = across === undefined ? all : [...all.filter((d) => d !== across), across];
  const outer = (values: readonly number[], fill: number) => lead(pick(order, values), MAX_OUTER, fill);
  const maskStrides = mask?.strides ?? x.shape.map(() => 0);
  const shape = outer(x.shape, 1);
  const params = {
    length: x.shape[dimension]!,
    rows: shape.reduce((count, size) => count * size, 1),
    inner_stride: [x.strides[dimension]!, out.strides[dimension]!, maskStrides[dimension]!],
    shape,
    src_stride: outer(x.strides, 0),
    dst_stride: outer(out.strides, 0),
    mask_stride: outer(maskStrides, 0),
    sink_stride: lead<number>([], MAX_OUTER, 0),
    scale,
    soft_cap: 0,
  };
  return { params, offsets: { src: x.binding.byteOffset, mask: mask?.tensor.binding.byteOffset ?? 0 } };
}
