import { launch } from '../../device/command-list.ts';
import type { ElementwiseCatalogue, SoftmaxCall } from '../../device/elementwise.ts';
import { COPY_METHODS, copy, copyVectors } from '../../kernels/metal/copy.ts';
import { product, SIMD } from '../../kernels/metal/declare.ts';
import { dequantize, dequantizeVectors, getRows, getRowsVectors } from '../../kernels/metal/rows.ts';
import { SOFTMAX_KEPT, SOFTMAX_METHODS, softmax, softmaxVectors } from '../../kernels/metal/softmax.ts';
import { MAX_OUTER, MAX_RANK } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { copyOrder, lead } from '../axes.ts';
import { describeGetRows } from '../rows.ts';

/** Threads of a softmax threadgroup, where rows are short: four simdgroups fill a core as well as one large group. */
const SOFTMAX_SIMDGROUPS = 4;
/** Rows that a threadgroup works on across memory. */
const MAX_ROW_SIMDGROUPS = 32;

/**
 * How a softmax runs: across memory where the normalised dimension is strided and another one is dense; else along the
 * row, which is kept in registers if 32 simdgroups can keep it.
 */
function softmaxMethod(call: SoftmaxCall, outer: readonly number[], maxThreads: number) {
  const { x, dimension } = call;
  const length = x.shape[dimension]!;
  const across = outer.find((d) => x.strides[d] === 1 && x.shape[d]! > 1);
  const most = Math.min(MAX_ROW_SIMDGROUPS, Math.floor(maxThreads / SIMD));
  if (x.strides[dimension] !== 1 && length > 1 && across !== undefined) {
    const simdgroups = Math.min(SOFTMAX_SIMDGROUPS, most);
    return { method: 'columns', across, simdgroups, rowSimdgroups: 1 } as const;
  }
  let rowSimdgroups = 1;
  while (rowSimdgroups * 2 <= most && SIMD * rowSimdgroups * SOFTMAX_KEPT < length) rowSimdgroups *= 2;
  const method = SIMD * rowSimdgroups * SOFTMAX_KEPT < length ? 'rows_long' : 'rows_kept';
  const simdgroups = Math.max(rowSimdgroups, Math.min(SOFTMAX_SIMDGROUPS, 2 ** Math.floor(Math.log2(most))));
  return { method, across: undefined, simdgroups, rowSimdgroups } as const;
}

/** The element-wise kernels of `metal/`. */
export const metalElementwise: ElementwiseCatalogue = {
  copy: (from, to) => {
    const { order, transposed } = copyOrder(to.shape, from.strides, to.strides);
    const along = (values: readonly number[], fill: number) =>
      lead(
        order.map((d) => values[d]!),
        MAX_RANK,
        fill,
      );
    const params = {
      shape: along(to.shape, 1),
      src_stride: along(from.strides, 0),
      dst_stride: along(to.strides, 0),
    };
    const types = { src_dtype: DTYPES[from.dtype].id, dst_dtype: DTYPES[to.dtype].id };
    const offsets = { src: from.binding.byteOffset, dst: to.binding.byteOffset };
    return launch(copy, {
      buffers: { src: from.binding, dst: to.binding },
      constants: {
        ...types,
        vector: transposed ? 0 : copyVectors(params, types, offsets),
        method: COPY_METHODS.indexOf(transposed ? 'transposed' : 'elements'),
      },
      params,
      label: 'copy',
    });
  },

  softmax: (call) => {
    const { x, out, mask, dimension, scale } = call;
    const all = x.shape.map((_, d) => d).filter((d) => d !== dimension);
    const threads = x.device.capabilities.maxThreadgroupThreads ?? SIMD;
    const { method, across, simdgroups, rowSimdgroups } = softmaxMethod(call, all, threads);
    // Neighbouring lanes take neighbouring rows: for columns the dense dimension has to vary fastest.
    const order = across === undefined ? all : [...all.filter((d) => d !== across), across];
    const outer = (values: readonly number[], fill: number) =>
      lead(
        order.map((d) => values[d]!),
        MAX_OUTER,
        fill,
      );
    const maskStrides = mask?.strides ?? x.shape.map(() => 0);
    const shape = outer(x.shape, 1);
    const params = {
      length: x.shape[dimension]!,
      rows: product(shape),
      inner_stride: [x.strides[dimension]!, out.strides[dimension]!, maskStrides[dimension]!],
      shape,
      src_stride: outer(x.strides, 0),
      dst_stride: outer(out.strides, 0),
      mask_stride: outer(maskStrides, 0),
      sink_stride: [],
      scale,
      soft_cap: 0,
    };
    const types = {
      src_dtype: DTYPES[x.dtype].id,
      mask_dtype: DTYPES[mask?.tensor.dtype ?? 'f32'].id,
      has_mask: mask === null ? 0 : 1,
    };
    const offsets = { src: x.binding.byteOffset, mask: mask?.tensor.binding.byteOffset ?? 0 };
    return launch(softmax, {
      buffers: { src: x.binding, dst: out.binding, mask: mask?.tensor.binding },
      constants: {
        ...types,
        dst_dtype: DTYPES[out.dtype].id,
        has_sink: 0,
        vector: method !== 'columns' && softmaxVectors(params, types, offsets) ? 1 : 0,
        simdgroups,
        row_simdgroups: rowSimdgroups,
        method: SOFTMAX_METHODS.indexOf(method),
      },
      params,
      label: `softmax ${x.shape.join('x')}`,
    });
  },

  dequantize: ({ weights, out, rows, source, target }) => {
    const k = weights.shape.at(-1)!;
    const { id, bytes } = DTYPES[out.dtype];
    const params = { n: rows, k, src_row_bytes: weights.rowStrides.at(-1) ?? 0, dst_stride: [k, 1] };
    const types = { format: weights.format.id!, dst_dtype: id };
    const offsets = { src: source, dst: target * bytes };
    return launch(dequantize, {
      buffers: {
        src: { buffer: weights.buffer, byteOffset: offsets.src },
        dst: { buffer: out.buffer, byteOffset: offsets.dst },
      },
      constants: { ...types, ...dequantizeVectors(params, types, offsets) },
      params,
      label: `dequantize<${weights.format.name}> ${rows}x${k}`,
    });
  },

  getRows: (call) => {
    const { table, index, out } = call;
    const { type, params, label } = describeGetRows(call);
    const types = { src_type: type, dst_dtype: DTYPES[out.dtype].id };
    const offsets = { src: table.binding.byteOffset, dst: out.binding.byteOffset };
    return launch(getRows, {
      buffers: { src: table.binding, index: index.binding, dst: out.binding },
      constants: { ...types, ...getRowsVectors(params, types, offsets) },
      params,
      label,
    });
  },
};
