import { launch } from '../../device/command-list.ts';
import type { ElementwiseCatalogue } from '../../device/elementwise.ts';
import { copy, dequantize, getRows, probePeak, probeRead, softmax } from '../../kernels/elementwise.ts';
import { MAX_OUTER, MAX_RANK } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { lead } from '../axes.ts';
import { describeGetRows } from '../rows.ts';

/** The element-wise kernels of Sources/CpuKernels. */
export const cpuElementwise: ElementwiseCatalogue = {
  copy: (from, to) =>
    launch(copy, {
      buffers: { src: from.binding, dst: to.binding },
      constants: { src_dtype: DTYPES[from.dtype].id, dst_dtype: DTYPES[to.dtype].id },
      params: {
        shape: lead(from.shape, MAX_RANK, 1),
        src_stride: lead(from.strides, MAX_RANK, 0),
        dst_stride: lead(to.strides, MAX_RANK, 0),
      },
      label: 'copy',
    }),

  softmax: ({ x, out, mask, dimension, scale }) => {
    const outer = (values: readonly number[], fill: number) =>
      lead(
        values.filter((_, i) => i !== dimension),
        MAX_OUTER,
        fill,
      );
    const maskStrides = mask?.strides ?? x.shape.map(() => 0);
    return launch(softmax, {
      buffers: { src: x.binding, dst: out.binding, mask: mask?.tensor.binding },
      constants: {
        src_dtype: DTYPES[x.dtype].id,
        dst_dtype: DTYPES[out.dtype].id,
        mask_dtype: DTYPES[mask?.tensor.dtype ?? 'f32'].id,
      },
      params: {
        length: x.shape[dimension]!,
        inner_stride: [x.strides[dimension]!, out.strides[dimension]!, maskStrides[dimension]!],
        shape: outer(x.shape, 1),
        src_stride: outer(x.strides, 0),
        dst_stride: outer(out.strides, 0),
        mask_stride: outer(maskStrides, 0),
        scale,
      },
      label: `softmax ${x.shape.join('x')}`,
    });
  },

  dequantize: ({ weights, out, rows, source, target }) => {
    const k = weights.shape.at(-1)!;
    const { id, bytes } = DTYPES[out.dtype];
    return launch(dequantize, {
      buffers: {
        src: { buffer: weights.buffer, byteOffset: source },
        dst: { buffer: out.buffer, byteOffset: target * bytes },
      },
      constants: { format: weights.format.id!, dst_dtype: id },
      params: { n: rows, k, src_row_bytes: weights.rowStrides.at(-1) ?? 0, dst_stride: [k, 1] },
      label: `dequantize<${weights.format.name}> ${rows}x${k}`,
    });
  },

  getRows: (call) => {
    const { table, index, out } = call;
    const { type, params, label } = describeGetRows(call);
    return launch(getRows, {
      buffers: { src: table.binding, index: index.binding, dst: out.binding },
      constants: { src_type: type, dst_dtype: DTYPES[out.dtype].id },
      params,
      label,
    });
  },

  probes: {
    read: (data, sink, bytes) =>
      launch(probeRead, {
        buffers: { data: { buffer: data, byteOffset: 0 }, sink: { buffer: sink, byteOffset: 0 } },
        constants: {},
        params: { bytes },
        label: 'probe_read',
      }),
    peak: (kind, iterations, sink) =>
      launch(probePeak, {
        buffers: { sink: { buffer: sink, byteOffset: 0 } },
        constants: { kind: kind === 'f32' ? 0 : 1 },
        params: { iterations },
        label: `probe_peak<${kind}>`,
      }),
  },
};
