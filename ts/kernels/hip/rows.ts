import { stridedRange } from '../declare.ts';
import { getRowsExtents } from '../elementwise.ts';
import { dtypeIdBytes, formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT } from './declare.ts';
import { hipBlockAlignment } from './gemv.ts';

const GROUP = 128;
/** Elements of dst that one thread writes: a part of a block, or one or four plain elements. */
const perThread = (type: number, vector: number) => (isFormatId(type) ? 32 : vector === 0 ? 1 : 4);
/** Workgroups along a row: the `blocks` of the parameters. */
export const hipRowBlocks = (k: number, type: number, vector = 0): number =>
  ceilDiv(k, perThread(type, vector) * GROUP);

/** 1 when rows of `k` plain elements can be written or read four at a time. */
export const hipRowVectors = (k: number, rows: number, strides: readonly number[], dtype: number, offset = 0): 0 | 1 =>
  k % 4 === 0 && strides[1] === 1 && (rows <= 1 || strides[0]! % 4 === 0) && offset % (4 * dtypeIdBytes(dtype)) === 0
    ? 1
    : 0;

function blocksRefused(type: number, k: number, stride: number): string | null {
  const { blockSize, name } = formatOfId(type);
  if (k % blockSize !== 0) return 'k is not a whole number of blocks';
  const unit = hipBlockAlignment(type);
  return stride % unit === 0 ? null : `rows of ${name} start at multiples of ${unit} bytes`;
}

export const hipDequantize = declareHipKernel({
  id: 524,
  name: 'hip_dequantize',
  doc: 'Rows of block-quantized weights [n, k] to f32, f16 or bf16, any output strides.',
  source: 'dequantize.hip',
  format: (c) => formatOfId(c.format).name,
  entry: (c) => `dequantize_${formatOfId(c.format).name}`,
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['format'],
  paramsName: 'hip_dequantize',
  params: {
    n: 'u32',
    k: 'u32',
    src_row_bytes: 'i64',
    dst_stride: 'i64[2]',
    dst_dtype: 'u32',
    /** See `hipRowVectors` and `hipRowBlocks`. */
    dst_vector: 'u32',
    blocks: 'u32',
  },
  extents: (p, c) => {
    const format = formatOfId(c.format);
    const rows = stridedRange([p.n], [p.src_row_bytes], 1);
    const last = (p.k / format.blockSize) * format.blockBytes;
    return {
      src: p.n === 0 || p.k === 0 ? { from: 0, to: 0 } : { from: rows.from, to: rows.to - 1 + last },
      dst: stridedRange([p.n, p.k], p.dst_stride, dtypeIdBytes(p.dst_dtype)),
    };
  },
  geometry: (p) => ({ threadgroups: [p.blocks * p.n, 1, 1], threads: [GROUP, 1, 1] }),
  refuse: (p, c) => {
    if (!isFormatId(c.format)) return 'plain rows are copied, not dequantized';
    if (p.dst_dtype > 2) return 'dst is f32, f16 or bf16';
    if (p.k > MAX_INT || p.blocks * p.n > MAX_INT) return 'n and k are counted in 31 bits';
    if (p.blocks !== hipRowBlocks(p.k, c.format)) return '`blocks` does not fit k';
    if (p.dst_vector > hipRowVectors(p.k, p.n, p.dst_stride, p.dst_dtype)) return 'the strides allow no vectors';
    return blocksRefused(c.format, p.k, p.n > 1 ? p.src_row_bytes : 0);
  },
});

export const hipGetRows = declareHipKernel({
  id: 525,
  name: 'hip_get_rows',
  doc:
    'Rows of a table [rows, k], chosen by i32 indices, to f32, f16 or bf16; block-quantized rows are decoded. The row ' +
    'stride of blocks is in bytes. An index that names no row gives a row of NaN.',
  source: 'get_rows.hip',
  format: (c) => (isFormatId(c.src_type) ? formatOfId(c.src_type).name : null),
  entry: (c) => `get_rows_${isFormatId(c.src_type) ? formatOfId(c.src_type).name : 'dense'}`,
  buffers: { src: { access: 'read' }, index: { access: 'read' }, dst: { access: 'write' } },
  constants: ['src_type'],
  paramsName: 'hip_get_rows',
  params: {
    rows: 'i64',
    k: 'u32',
    count: 'u32',
    src_stride: 'i64[2]',
    index_stride: 'i64',
    dst_stride: 'i64[2]',
    /** Of a plain table; unused for blocks. */
    src_dtype: 'u32',
    dst_dtype: 'u32',
    /** Plain rows: four elements per thread. */
    src_vector: 'u32',
    dst_vector: 'u32',
    blocks: 'u32',
  },
  extents: (p, c) => getRowsExtents(p, c.src_type, p.dst_dtype),
  geometry: (p) => ({ threadgroups: [p.blocks * p.count, 1, 1], threads: [GROUP, 1, 1] }),
  refuse: (p, c) => {
    const blocks = isFormatId(c.src_type);
    if (!blocks && (c.src_type > 2 || p.src_dtype !== c.src_type)) return 'plain tables are f32, f16 or bf16';
    if (p.dst_dtype > 2) return 'dst is f32, f16 or bf16';
    if (p.k > MAX_INT || p.blocks * p.count > MAX_INT) return 'k and the indices are counted in 31 bits';
    if (p.blocks !== hipRowBlocks(p.k, c.src_type, p.src_vector)) return '`blocks` does not fit k';
    const source = blocks ? 0 : hipRowVectors(p.k, p.rows, p.src_stride, c.src_type);
    if (p.src_vector > source || p.dst_vector > hipRowVectors(p.k, p.count, p.dst_stride, p.dst_dtype)) {
      return 'the strides allow no vectors';
    }
    return blocks ? blocksRefused(c.src_type, p.k, p.rows > 1 ? p.src_stride[0]! : 0) : null;
  },
});
