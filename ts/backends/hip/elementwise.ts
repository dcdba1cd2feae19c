import { launch } from '../../device/command-list.ts';
import type { ElementwiseCatalogue, SoftmaxCall } from '../../device/elementwise.ts';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams, hipCopyVectors } from '../../kernels/hip/copy.ts';
import { product } from '../../kernels/hip/declare.ts';
import { hipBlockAlignment, maxWaves } from '../../kernels/hip/gemv.ts';
import { hipDequantize, hipGetRows, hipRowBlocks, hipRowVectors } from '../../kernels/hip/rows.ts';
import { HIP_SOFTMAX_KEPT, HIP_SOFTMAX_METHODS, hipSoftmax, hipSoftmaxVectors } from '../../kernels/hip/softmax.ts';
import { isFormatId, MAX_OUTER, MAX_RANK } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { copyOrder, lead } from '../axes.ts';
import { describeGetRows } from '../rows.ts';

/** Threads of a softmax workgroup where rows are short: enough for a compute unit to have several. */
const SOFTMAX_THREADS = 128;

/**
 * How a softmax runs: across memory where the normalised dimension is strided and another one is dense; else along the
 * row, which is kept in registers if a workgroup can keep it.
 */
function softmaxMethod({ x, dimension }: SoftmaxCall, wave: number) {
  const length = x.shape[dimension]!;
  const across = x.shape.findIndex((size, d) => d !== dimension && size > 1 && x.strides[d] === 1);
  const usual = SOFTMAX_THREADS / wave;
  if (x.strides[dimension] !== 1 && length > 1 && across !== -1) {
    return { method: 'columns', across, waves: usual, rowWaves: 1 } as const;
  }
  let rowWaves = 1;
  while (rowWaves * 2 <= maxWaves(wave) && wave * rowWaves * HIP_SOFTMAX_KEPT < length) rowWaves *= 2;
  const method = wave * rowWaves * HIP_SOFTMAX_KEPT < length ? 'rows_long' : 'rows_kept';
  return { method, across: undefined, waves: Math.max(rowWaves, usual), rowWaves } as const;
}

/** The element-wise kernels of `hip/`. */
export const hipElementwise: ElementwiseCatalogue = {
  copy: (from, to) => {
    const { order, transposed } = copyOrder(to.shape, from.strides, to.strides);
    const along = (values: readonly number[], fill: number) =>
      lead(
        order.map((d) => values[d]!),
        MAX_RANK,
        fill,
      );
    const shape = {
      shape: along(to.shape, 1),
      src_stride: along(from.strides, 0),
      dst_stride: along(to.strides, 0),
      src_dtype: DTYPES[from.dtype].id,
      dst_dtype: DTYPES[to.dtype].id,
    };
    const offsets = { src: from.binding.byteOffset, dst: to.binding.byteOffset };
    return launch(hipCopy, {
      buffers: { src: from.binding, dst: to.binding },
      constants: { method: HIP_COPY_METHODS.indexOf(transposed ? 'transposed' : 'elements') },
      params: hipCopyParams(shape, hipCopyVectors(shape, offsets)),
      label: 'copy',
    });
  },

  softmax: (call) => {
    const { x, out, mask, dimension, scale } = call;
    const wave = x.device.capabilities.waveSize!;
    const { method, across, waves, rowWaves } = softmaxMethod(call, wave);
    const all = x.shape.map((_, d) => d).filter((d) => d !== dimension);
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
      sink_stride: lead<number>([], MAX_OUTER, 0),
      scale,
      soft_cap: 0,
      src_dtype: DTYPES[x.dtype].id,
      dst_dtype: DTYPES[out.dtype].id,
      mask_dtype: DTYPES[mask?.tensor.dtype ?? 'f32'].id,
      waves,
      row_waves: rowWaves,
    };
    const offsets = { src: x.binding.byteOffset, mask: mask?.tensor.binding.byteOffset ?? 0 };
    const vector = method !== 'columns' && hipSoftmaxVectors(params, mask !== null, offsets) ? 1 : 0;
    return launch(hipSoftmax, {
      buffers: { src: x.binding, dst: out.binding, mask: mask?.tensor.binding },
      constants: { method: HIP_SOFTMAX_METHODS.indexOf(method), wave },
      params: { ...params, vector },
      label: `softmax ${x.shape.join('x')}`,
    });
  },

  dequantize: ({ weights, out, rows, source, target }) => {
    const k = weights.shape.at(-1)!;
    const format = weights.format.id!;
    const dst_stride = [k, 1];
    const { id: dst_dtype, bytes } = DTYPES[out.dtype];
    return launch(hipDequantize, {
      buffers: {
        src: { buffer: weights.buffer, byteOffset: source },
        dst: { buffer: out.buffer, byteOffset: target * bytes },
      },
      constants: { format },
      params: {
        ...{ n: rows, k, src_row_bytes: weights.rowStrides.at(-1) ?? 0, dst_stride, dst_dtype },
        dst_vector: hipRowVectors(k, rows, dst_stride, dst_dtype, target * bytes),
        blocks: hipRowBlocks(k, format),
      },
      label: `dequantize<${weights.format.name}> ${rows}x${k}`,
    });
  },

  getRows: (call) => {
    const { table, index, out } = call;
    const { type, params: common, label } = describeGetRows(call);
    // Blocks are read in loads that want them aligned; elsewhere the host looks the rows up.
    const unit = isFormatId(type) ? hipBlockAlignment(type) : 1;
    const { byteOffset } = table.binding;
    if (byteOffset % unit !== 0 || common.src_stride[0]! % unit !== 0) return null;
    const src_vector = isFormatId(type) ? 0 : hipRowVectors(common.k, common.rows, common.src_stride, type, byteOffset);
    const dst_dtype = DTYPES[out.dtype].id;
    const params = {
      ...common,
      ...{ src_dtype: isFormatId(type) ? 0 : type, dst_dtype, src_vector },
      dst_vector: hipRowVectors(common.k, common.count, common.dst_stride, dst_dtype, out.binding.byteOffset),
      blocks: hipRowBlocks(common.k, type, src_vector),
    };
    return launch(hipGetRows, {
      buffers: { src: table.binding, index: index.binding, dst: out.binding },
      constants: { src_type: type },
      params,
      label,
    });
  },
};
