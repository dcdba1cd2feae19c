import { declareKernel, stridedRange } from './declare.ts';
import type { StructValue } from './struct.ts';
import { dtypeIdBytes, formatOfId, isFormatId } from './types.ts';

export const copy = declareKernel({
  id: 6,
  name: 'copy',
  doc: 'Strided copy with conversion between any dtypes (f32 to integers saturates, NaN gives 0).',
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['src_dtype', 'dst_dtype'],
  paramsName: 'copy',
  params: { shape: 'i64[8]', src_stride: 'i64[8]', dst_stride: 'i64[8]' },
  extents: (p, c) => ({
    src: stridedRange(p.shape, p.src_stride, dtypeIdBytes(c.src_dtype)),
    dst: stridedRange(p.shape, p.dst_stride, dtypeIdBytes(c.dst_dtype)),
  }),
});

export const dequantize = declareKernel({
  id: 7,
  name: 'dequantize',
  doc: 'Rows of block-quantized weights [n, k] to f32, f16 or bf16, any output strides.',
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['format', 'dst_dtype'],
  paramsName: 'dequantize',
  params: { n: 'i64', k: 'i64', src_row_bytes: 'i64', dst_stride: 'i64[2]' },
  extents: (p, c) => {
    const format = formatOfId(c.format);
    const rows = stridedRange([p.n], [p.src_row_bytes], 1);
    const last = (p.k / format.blockSize) * format.blockBytes;
    return {
      src: p.n === 0 || p.k === 0 ? { from: 0, to: 0 } : { from: rows.from, to: rows.to - 1 + last },
      dst: stridedRange([p.n, p.k], p.dst_stride, dtypeIdBytes(c.dst_dtype)),
    };
  },
});

export const softmax = declareKernel({
  id: 8,
  name: 'softmax',
  doc:
    'softmax(scale * x + mask) along an inner dimension of any stride; up to 7 outer dimensions. ' +
    'A row that is masked out entirely (all -inf) gives zeros.',
  buffers: { src: { access: 'read' }, dst: { access: 'write' }, mask: { access: 'read', optional: true } },
  constants: ['src_dtype', 'dst_dtype', 'mask_dtype'],
  paramsName: 'softmax',
  params: {
    length: 'i64',
    inner_stride: 'i64[3]', // src, dst, mask
    shape: 'i64[7]',
    src_stride: 'i64[7]',
    dst_stride: 'i64[7]',
    mask_stride: 'i64[7]',
    scale: 'f32',
  },
  extents: (p, c) => {
    const range = (i: number, strides: readonly number[], dtype: number) =>
      stridedRange([p.length, ...p.shape], [p.inner_stride[i]!, ...strides], dtypeIdBytes(dtype));
    return {
      src: range(0, p.src_stride, c.src_dtype),
      dst: range(1, p.dst_stride, c.dst_dtype),
      mask: range(2, p.mask_stride, c.mask_dtype),
    };
  },
});

/** Probes of the machine's limits; they are launches like any other, so every back end measures the same way. */
export const probeRead = declareKernel({
  id: 9,
  name: 'probe_read',
  doc: 'Reads `bytes` once and writes a checksum per thread: sustained read bandwidth.',
  buffers: { data: { access: 'read' }, sink: { access: 'write' } },
  constants: [],
  paramsName: 'probe_read',
  params: { bytes: 'i64' },
  extents: (p) => ({ data: { from: 0, to: p.bytes }, sink: { from: 0, to: 8 } }),
});

export const probePeak = declareKernel({
  id: 10,
  name: 'probe_peak',
  doc: 'Independent multiply-adds from registers (kind 0: f32 FMA, 1: 8-bit dot products); writes operations done.',
  buffers: { sink: { access: 'write' } },
  constants: ['kind'],
  paramsName: 'probe_peak',
  params: { iterations: 'i64' },
  extents: () => ({ sink: { from: 0, to: 8 } }),
});

/** Parameters of the row look-ups of the CPU and of Metal. The row stride of blocks is in bytes. */
export const GET_ROWS_PARAMS = {
  rows: 'i64',
  k: 'i64',
  count: 'i64',
  src_stride: 'i64[2]',
  index_stride: 'i64',
  dst_stride: 'i64[2]',
} as const;

/** The bytes that a row look-up touches, on every back end. */
export function getRowsExtents(p: StructValue<typeof GET_ROWS_PARAMS>, type: number, dtype: number) {
  const dst = stridedRange([p.count, p.k], p.dst_stride, dtypeIdBytes(dtype));
  const index = stridedRange([p.count], [p.index_stride], 4);
  if (!isFormatId(type)) {
    return { src: stridedRange([p.rows, p.k], p.src_stride, dtypeIdBytes(type)), index, dst };
  }
  const format = formatOfId(type);
  const rows = stridedRange([p.rows], [p.src_stride[0]!], 1);
  if (p.rows === 0 || p.k === 0) return { src: { from: 0, to: 0 }, index, dst };
  return { src: { from: rows.from, to: rows.to - 1 + (p.k / format.blockSize) * format.blockBytes }, index, dst };
}

export const getRows = declareKernel({
  id: 11,
  name: 'get_rows',
  doc:
    'Rows of a table [rows, k], chosen by i32 indices, to f32, f16 or bf16; block-quantized rows are decoded. An index ' +
    'that names no row gives a row of NaN.',
  buffers: { src: { access: 'read' }, index: { access: 'read' }, dst: { access: 'write' } },
  constants: ['src_type', 'dst_dtype'],
  paramsName: 'get_rows',
  params: GET_ROWS_PARAMS,
  extents: (p, c) => getRowsExtents(p, c.src_type, c.dst_dtype),
});
