import { launch } from '../../device/command-list.ts';
import type { ElementwiseCatalogue, SoftmaxCall } from '../../device/elementwise.ts';
import { COPY_METHODS, copy, copyVectors } from '../../kernels/metal/copy.ts';
import { SIMD } from '../../kernels/metal/declare.ts';
import { dequantize, dequantizeVectors, getRows, getRowsVectors } from '../../kernels/metal/rows.ts';
import { SOFTMAX_KEPT, SOFTMAX_METHODS, softmax, softmaxVectors } from '../../kernels/metal/softmax.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { copyShape, softmaxAcross, softmaxShape } from '../gpu-shapes.ts';
import { describeGetRows } from '../rows.ts';

/** Threads of a softmax threadgroup, where rows are short: four simdgroups fill a core as well as one large group. */
const SOFTMAX_SIMDGROUPS = 4;
/** Rows that a threadgroup works on across memory. */
const MAX_ROW_SIMDGROUPS = 32;

/**
 * How a softmax runs: across memory where the normalised dimension is strided and another one is dense; else along the
 * row, which is kept in registers if 32 simdgroups can keep it.
 */
function softmaxMethod(call: SoftmaxCall, maxThreads: number) {
  const length = call.x.shape[call.dimension]!;
  const across = softmaxAcross(call);
  const most = Math.min(MAX_ROW_SIMDGROUPS, Math.floor(maxThreads / SIMD));
  if (across !== undefined) {
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
    const { params, transposed, offsets } = copyShape(from, to);
    const types = { src_dtype: DTYPES[from.dtype].id, dst_dtype: DTYPES[to.dtype].id };
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
    const { x, out, mask } = call;
    const threads = x.device.capabilities.maxThreadgroupThreads ?? SIMD;
    const { method, across, simdgroups, rowSimdgroups } = softmaxMethod(call, threads);
    const { params, offsets } = softmaxShape(call, across);
    const types = {
      src_dtype: DTYPES[x.dtype].id,
      mask_dtype: DTYPES[mask?.tensor.dtype ?? 'f32'].id,
      has_mask: mask === null ? 0 : 1,
    };
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
