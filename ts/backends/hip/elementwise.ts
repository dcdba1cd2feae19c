import { launch } from '../../device/command-list.ts';
import type { ElementwiseCatalogue, SoftmaxCall } from '../../device/elementwise.ts';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams, hipCopyVectors } from '../../kernels/hip/copy.ts';
import { hipBlockAlignment, maxWaves } from '../../kernels/hip/gemv.ts';
import { hipDequantize, hipGetRows, hipRowBlocks, hipRowVectors } from '../../kernels/hip/rows.ts';
import { HIP_SOFTMAX_KEPT, HIP_SOFTMAX_METHODS, hipSoftmax, hipSoftmaxVectors } from '../../kernels/hip/softmax.ts';
import { isFormatId } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { copyShape, softmaxAcross, softmaxShape } from '../gpu-shapes.ts';
import { describeGetRows } from '../rows.ts';

/** Threads of a softmax workgroup where rows are short: enough for a compute unit to have several. */
const SOFTMAX_THREADS = 128;

/**
 * How a softmax runs: across memory where the normalised dimension is strided and another one is dense; else along the
 * row, which is kept in registers if a workgroup can keep it.
 */
function softmaxMethod(call: SoftmaxCall, wave: number) {
  const length = call.x.shape[call.dimension]!;
  const across = softmaxAcross(call);
  const usual = SOFTMAX_THREADS / wave;
  if (across !== undefined) return { method: 'columns', across, waves: usual, rowWaves: 1 } as const;
  let rowWaves = 1;
  while (rowWaves * 2 <= maxWaves(wave) && wave * rowWaves * HIP_SOFTMAX_KEPT < length) rowWaves *= 2;
  const method = wave * rowWaves * HIP_SOFTMAX_KEPT < length ? 'rows_long' : 'rows_kept';
  return { method, across: undefined, waves: Math.max(rowWaves, usual), rowWaves } as const;
}

/** The element-wise kernels of `hip/`. */
export const hipElementwise: ElementwiseCatalogue = {
  copy: (from, to) => {
    const { params, transposed, offsets } = copyShape(from, to);
    const shape = { ...params, src_dtype: DTYPES[from.dtype].id, dst_dtype: DTYPES[to.dtype].id };
    const filled = hipCopyParams(shape, hipCopyVectors(shape, offsets));
    const method = (name: (typeof HIP_COPY_METHODS)[number]) => ({ method: HIP_COPY_METHODS.indexOf(name) });
    // Its grid has no place for as many rows, or matrices, as the other one's.
    const tiled = transposed && hipCopy.refuse(filled, method('transposed')) === null;
    return launch(hipCopy, {
      buffers: { src: from.binding, dst: to.binding },
      constants: method(tiled ? 'transposed' : 'elements'),
      params: filled,
      label: 'copy',
    });
  },

  softmax: (call) => {
    const { x, out, mask } = call;
    const wave = x.device.capabilities.waveSize!;
    const { method, across, waves, rowWaves } = softmaxMethod(call, wave);
    const { params: common, offsets } = softmaxShape(call, across);
    const params = {
      ...common,
      src_dtype: DTYPES[x.dtype].id,
      dst_dtype: DTYPES[out.dtype].id,
      mask_dtype: DTYPES[mask?.tensor.dtype ?? 'f32'].id,
      waves,
      row_waves: rowWaves,
    };
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
