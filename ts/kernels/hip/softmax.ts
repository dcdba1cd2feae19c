import { type LaunchGeometry, stridedRange } from '../declare.ts';
import type { StructValue } from '../struct.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import { maxWaves } from './gemv.ts';

/**
 * `rows` is the product of `shape`; strides are in elements, `sink` is f32. The last dimension of `shape` varies fastest
 * over lanes: for the method `columns` put the one with stride 1 there.
 */
const PARAMS = {
  length: 'u32',
  rows: 'u32',
  inner_stride: 'i64[3]', // src, dst, mask
  shape: 'i64[7]',
  src_stride: 'i64[7]',
  dst_stride: 'i64[7]',
  mask_stride: 'i64[7]',
  sink_stride: 'i64[7]',
  scale: 'f32',
  soft_cap: 'f32', // 0: none
  src_dtype: 'u32',
  dst_dtype: 'u32',
  mask_dtype: 'u32',
  /** 1: src and mask are read in vectors of four along the row, where `hipSoftmaxVectors` allows it. */
  vector: 'u32',
  waves: 'u32',
  /** Waves that share a row. */
  row_waves: 'u32',
} as const;
export type HipSoftmaxParams = StructValue<typeof PARAMS>;

/** How a row is worked on: in registers, read twice, or across memory by neighbouring lanes. */
export const HIP_SOFTMAX_METHODS = ['rows_kept', 'rows_long', 'columns'] as const;
/** Logits that each thread of `rows_kept` keeps. */
export const HIP_SOFTMAX_KEPT = 8;

/** Whether src (and the mask) can be read four elements at a time along the rows. */
export function hipSoftmaxVectors(
  p: Pick<
    HipSoftmaxParams,
    'length' | 'inner_stride' | 'shape' | 'src_stride' | 'mask_stride' | 'src_dtype' | 'mask_dtype'
  >,
  hasMask: boolean,
  offsets: { readonly src?: number; readonly mask?: number } = {},
): boolean {
  const fits = (inner: number, strides: readonly number[], dtype: number, offset = 0) =>
    inner === 1 &&
    offset % (4 * dtypeIdBytes(dtype)) === 0 &&
    p.shape.every((size, i) => size <= 1 || strides[i]! % 4 === 0);
  return (
    p.length % 4 === 0 &&
    fits(p.inner_stride[0]!, p.src_stride, p.src_dtype, offsets.src) &&
    (!hasMask || fits(p.inner_stride[2]!, p.mask_stride, p.mask_dtype, offsets.mask))
  );
}

export const hipSoftmax = declareHipKernel({
  id: 523,
  name: 'hip_softmax',
  doc:
    'softmax(cap(scale * x) + mask) along an inner dimension of any stride, up to 7 outer dimensions, with sinks. ' +
    'A row that is masked out entirely gives zeros.',
  source: 'softmax.hip',
  entry: (c) => `softmax_${HIP_SOFTMAX_METHODS[c.method]}`,
  buffers: {
    src: { access: 'read', inPlace: true },
    dst: { access: 'write' },
    mask: { access: 'read', optional: true },
    sink: { access: 'read', optional: true },
  },
  /** A place in HIP_SOFTMAX_METHODS, and lanes of a wave on the device. */
  constants: ['method', 'wave'],
  paramsName: 'hip_softmax',
  params: PARAMS,
  extents: (p) => {
    const range = (inner: number, strides: readonly number[], dtype: number) =>
      stridedRange([p.length, ...p.shape], [inner, ...strides], dtypeIdBytes(dtype));
    return {
      src: range(p.inner_stride[0]!, p.src_stride, p.src_dtype),
      dst: range(p.inner_stride[1]!, p.dst_stride, p.dst_dtype),
      mask: range(p.inner_stride[2]!, p.mask_stride, p.mask_dtype),
      sink: stridedRange(p.shape, p.sink_stride, 4),
    };
  },
  geometry: (p, c): LaunchGeometry => {
    const perGroup = HIP_SOFTMAX_METHODS[c.method] === 'columns' ? c.wave : p.waves / p.row_waves;
    return { threadgroups: [ceilDiv(p.rows, perGroup), 1, 1], threads: [c.wave * p.waves, 1, 1] };
  },
  refuse: (p, c) => {
    if (p.rows !== product(p.shape)) return '`rows` is not the product of `shape`';
    if (p.rows > MAX_INT || p.length > MAX_INT - 8192) return 'rows and their length are counted in 31 bits';
    if (p.src_dtype > 2 || p.dst_dtype > 2 || p.mask_dtype > 2) return 'softmax takes f32, f16 and bf16';
    if (p.waves < 1 || p.waves > maxWaves(c.wave)) return `${p.waves} waves are no workgroup`;
    const method = HIP_SOFTMAX_METHODS[c.method];
    if (method === undefined) return `there is no method ${c.method}`;
    if (method === 'columns') return p.vector === 0 ? null : 'columns are not read in vectors';
    if (p.vector !== 0 && !hipSoftmaxVectors(p, false)) return 'the strides allow no vector loads';
    if (p.row_waves < 1 || p.waves % p.row_waves !== 0) return 'rows do not fill the workgroup';
    if (method === 'rows_kept' && p.length > c.wave * p.row_waves * HIP_SOFTMAX_KEPT)
      return 'the row is too long to keep';
    return null;
  },
});
