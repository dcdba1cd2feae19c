import { type LaunchGeometry, stridedRange } from '../declare.ts';
import type { StructValue } from '../struct.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareMetalKernel, product, SIMD } from './declare.ts';

/**
 * As the CPU's softmax, with a soft cap and sinks. `rows` is the product of `shape`; strides are in elements, `sink` is
 * f32. The last dimension of `shape` varies fastest over lanes: for `softmax_columns` put the one with stride 1 there.
 */
const PARAMS = {
  length: 'i64',
  rows: 'i64',
  inner_stride: 'i64[3]', // src, dst, mask
  shape: 'i64[7]',
  src_stride: 'i64[7]',
  dst_stride: 'i64[7]',
  mask_stride: 'i64[7]',
  sink_stride: 'i64[7]',
  scale: 'f32',
  soft_cap: 'f32', // 0: none
} as const;
export type MetalSoftmaxParams = StructValue<typeof PARAMS>;

/** How a row is worked on: in registers, read twice, or across memory by neighbouring lanes. */
export const SOFTMAX_METHODS = ['rows_kept', 'rows_long', 'columns'] as const;
/** Logits that each thread of `rows_kept` keeps. */
export const SOFTMAX_KEPT = 8;

const CONSTANTS = [
  'src_dtype',
  'dst_dtype',
  'mask_dtype',
  'has_mask',
  'has_sink',
  /** src and mask may be read in vectors of four along the row. */
  'vector',
  'simdgroups',
  /** Simdgroups that share a row. */
  'row_simdgroups',
  /** A place in {@link SOFTMAX_METHODS}. */
  'method',
] as const;
export type MetalSoftmaxConstants = Readonly<Record<(typeof CONSTANTS)[number], number>>;

/** Whether src (and the mask) can be read four elements at a time along the rows. */
export function softmaxVectors(
  p: MetalSoftmaxParams,
  c: Pick<MetalSoftmaxConstants, 'src_dtype' | 'mask_dtype' | 'has_mask'>,
  offsets: { readonly src?: number; readonly mask?: number } = {},
): boolean {
  const fits = (inner: number, strides: readonly number[], dtype: number, offset = 0) =>
    inner === 1 &&
    offset % (4 * dtypeIdBytes(dtype)) === 0 &&
    p.shape.every((size, i) => size <= 1 || strides[i]! % 4 === 0);
  return (
    p.length % 4 === 0 &&
    fits(p.inner_stride[0]!, p.src_stride, c.src_dtype, offsets.src) &&
    (c.has_mask === 0 || fits(p.inner_stride[2]!, p.mask_stride, c.mask_dtype, offsets.mask))
  );
}

export const softmax = declareMetalKernel({
  id: 260,
  name: 'metal_softmax',
  doc:
    'softmax(cap(scale * x) + mask) along an inner dimension of any stride, up to 7 outer dimensions, with sinks. ' +
    'A row that is masked out entirely gives zeros.',
  source: 'softmax.metal',
  entry: (c) => `softmax_${SOFTMAX_METHODS[c.method]}`,
  buffers: {
    src: { access: 'read' },
    dst: { access: 'write' },
    mask: { access: 'read', optional: true },
    sink: { access: 'read', optional: true },
  },
  constants: CONSTANTS,
  paramsName: 'metal_softmax',
  params: PARAMS,
  extents: (p, c) => {
    const range = (inner: number, strides: readonly number[], dtype: number) =>
      stridedRange([p.length, ...p.shape], [inner, ...strides], dtypeIdBytes(dtype));
    return {
      src: range(p.inner_stride[0]!, p.src_stride, c.src_dtype),
      dst: range(p.inner_stride[1]!, p.dst_stride, c.dst_dtype),
      mask: range(p.inner_stride[2]!, p.mask_stride, c.mask_dtype),
      sink: stridedRange(p.shape, p.sink_stride, 4),
    };
  },
  alignment: (_, c) => {
    const vector = c.vector === 0 ? 1 : 4;
    return {
      ...{ src: vector * dtypeIdBytes(c.src_dtype), mask: vector * dtypeIdBytes(c.mask_dtype) },
      ...{ dst: dtypeIdBytes(c.dst_dtype), sink: 4 },
    };
  },
  choices: { vector: [0, 1] },
  geometry: (p, c): LaunchGeometry => {
    const columns = SOFTMAX_METHODS[c.method] === 'columns';
    const perGroup = columns ? SIMD : c.simdgroups / c.row_simdgroups;
    return {
      threadgroups: [ceilDiv(p.rows, perGroup), 1, 1],
      threads: [SIMD * c.simdgroups, 1, 1],
      threadgroupBytes: [Math.max(16, c.simdgroups * 2 * 4 * (columns ? SIMD : 1))],
    };
  },
  refuse: (p, c) => {
    if (p.rows !== product(p.shape)) return '`rows` is not the product of `shape`';
    if (c.src_dtype > 2 || c.dst_dtype > 2 || c.mask_dtype > 2) return 'softmax takes f32, f16 and bf16';
    if (c.simdgroups < 1 || c.simdgroups > 32) return `${c.simdgroups} simdgroups are no threadgroup`;
    const method = SOFTMAX_METHODS[c.method];
    if (method === undefined) return `there is no method ${c.method}`;
    if (method === 'columns') return c.vector === 0 ? null : 'columns are not read in vectors';
    if (c.vector !== 0 && !softmaxVectors(p, c)) return 'the strides allow no vector loads';
    if (c.row_simdgroups < 1 || c.simdgroups % c.row_simdgroups !== 0) return 'rows do not fill the threadgroup';
    if (method === 'rows_kept' && p.length > SIMD * c.row_simdgroups * SOFTMAX_KEPT)
      return 'the row is too long to keep';
    return null;
  },
});
