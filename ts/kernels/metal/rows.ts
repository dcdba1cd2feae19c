import { type LaunchGeometry, stridedRange } from '../declare.ts';
import { GET_ROWS_PARAMS, getRowsExtents } from '../elementwise.ts';
import { dtypeIdBytes, formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareMetalKernel, MAX_INT } from './declare.ts';
import { blockAlignment, shareOf, typeName } from './weights.ts';

const GROUP = 128;
/** Elements of dst that one thread writes. */
const perThread = (type: number, vector: number) => (isFormatId(type) ? shareOf(type) : vector === 0 ? 1 : 4);
const grid = (k: number, rows: number, type: number, vector: number): LaunchGeometry => ({
  threadgroups: [ceilDiv(k / perThread(type, vector), GROUP), rows, 1],
  threads: [GROUP, 1, 1],
});

/** Whether rows of `k` elements, `stride` apart, can be written (or read) four elements at a time. */
const vectors = (k: number, rows: number, strides: readonly number[], bytes: number, offset: number) =>
  k % 4 === 0 && strides[1] === 1 && (rows === 1 || strides[0]! % 4 === 0) && offset % (4 * bytes) === 0 ? 1 : 0;

/** Rows of `type` from `offset`, `stride` apart (blocks: bytes), may be read in the widest loads. */
function wideRows(type: number, k: number, rows: number, strides: readonly number[], offset: number): number {
  if (!isFormatId(type)) return vectors(k, rows, strides, dtypeIdBytes(type), offset);
  const unit = blockAlignment(type);
  return offset % unit === 0 && (rows === 1 || strides[0]! % unit === 0) ? 1 : 0;
}

interface Vectors {
  readonly src_vector: number;
  readonly dst_vector: number;
}
const vectorsRefused = (claimed: Vectors, allowed: Vectors) =>
  claimed.src_vector > allowed.src_vector || claimed.dst_vector > allowed.dst_vector
    ? 'the strides allow no vector access'
    : null;

/** What an offset of the source has to be a multiple of. */
function sourceAlignment(type: number, vector: number): number {
  if (isFormatId(type)) return vector === 0 ? 1 : blockAlignment(type);
  return dtypeIdBytes(type) * (vector === 0 ? 1 : 4);
}

export const dequantize = declareMetalKernel({
  id: 261,
  name: 'metal_dequantize',
  doc: 'Rows of block-quantized weights [n, k] to f32, f16 or bf16, any output strides.',
  source: 'dequantize.metal',
  entry: (c) => `dequantize_${typeName(c.format)}`,
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['format', 'dst_dtype', 'src_vector', 'dst_vector'],
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
  alignment: (_, c) => ({
    src: sourceAlignment(c.format, c.src_vector),
    dst: dtypeIdBytes(c.dst_dtype) * (c.dst_vector === 0 ? 1 : 4),
  }),
  choices: { src_vector: [0, 1], dst_vector: [0, 1] },
  geometry: (p, c) => grid(p.k, p.n, c.format, 0),
  refuse: (p, c) => {
    if (!isFormatId(c.format)) return 'plain rows are copied, not dequantized';
    if (c.dst_dtype > 2) return 'dst is f32, f16 or bf16';
    if (p.k > MAX_INT || p.n > MAX_INT) return 'n and k are counted in 32 bits';
    if (p.k % formatOfId(c.format).blockSize !== 0) return 'k is not a whole number of blocks';
    return vectorsRefused(c, dequantizeVectors(p, c));
  },
});

/** `src_vector` and `dst_vector` for these strides and byte offsets. */
export const dequantizeVectors = (
  p: { readonly n: number; readonly k: number; readonly src_row_bytes: number; readonly dst_stride: readonly number[] },
  c: { readonly format: number; readonly dst_dtype: number },
  offsets: { readonly src?: number; readonly dst?: number } = {},
) => ({
  src_vector: wideRows(c.format, p.k, p.n, [p.src_row_bytes, 1], offsets.src ?? 0),
  dst_vector: vectors(p.k, p.n, p.dst_stride, dtypeIdBytes(c.dst_dtype), offsets.dst ?? 0),
});

export const getRows = declareMetalKernel({
  id: 262,
  name: 'metal_get_rows',
  doc:
    'Rows of a table [rows, k], chosen by i32 indices, to f32, f16 or bf16; block-quantized rows are decoded. The row ' +
    'stride of blocks is in bytes. An index that names no row gives a row of NaN.',
  source: 'get_rows.metal',
  entry: (c) => `get_rows_${typeName(c.src_type)}`,
  buffers: { src: { access: 'read' }, index: { access: 'read' }, dst: { access: 'write' } },
  constants: ['src_type', 'dst_dtype', 'src_vector', 'dst_vector'],
  paramsName: 'get_rows',
  params: GET_ROWS_PARAMS,
  extents: (p, c) => getRowsExtents(p, c.src_type, c.dst_dtype),
  alignment: (_, c) => ({
    src: sourceAlignment(c.src_type, c.src_vector),
    index: 4,
    dst: dtypeIdBytes(c.dst_dtype) * (c.dst_vector === 0 ? 1 : 4),
  }),
  choices: { src_vector: [0, 1], dst_vector: [0, 1] },
  geometry: (p, c) => grid(p.k, p.count, c.src_type, c.src_vector),
  refuse: (p, c) => {
    if (!isFormatId(c.src_type) && c.src_type > 2) return 'plain tables are f32, f16 or bf16';
    if (c.dst_dtype > 2) return 'dst is f32, f16 or bf16';
    if (p.k > MAX_INT || p.count > MAX_INT) return 'k and the indices are counted in 32 bits';
    if (isFormatId(c.src_type) && p.k % formatOfId(c.src_type).blockSize !== 0) {
      return 'k is not a whole number of blocks';
    }
    return vectorsRefused(c, getRowsVectors(p, c));
  },
});

export const getRowsVectors = (
  p: {
    readonly rows: number;
    readonly k: number;
    readonly count: number;
    readonly src_stride: readonly number[];
    readonly dst_stride: readonly number[];
  },
  c: { readonly src_type: number; readonly dst_dtype: number },
  offsets: { readonly src?: number; readonly dst?: number } = {},
) => ({
  src_vector: wideRows(c.src_type, p.k, p.rows, p.src_stride, offsets.src ?? 0),
  dst_vector: vectors(p.k, p.count, p.dst_stride, dtypeIdBytes(c.dst_dtype), offsets.dst ?? 0),
});
