import { DTYPES } from '../../tensor/dtype.ts';
import { type LaunchGeometry, stridedRange } from '../declare.ts';
import type { StructValue } from '../struct.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';

const PARAMS = {
  shape: 'i64[8]',
  src_stride: 'i64[8]',
  dst_stride: 'i64[8]',
  src_dtype: 'u32',
  dst_dtype: 'u32',
  /** Product of the first seven sizes. */
  rows: 'u32',
  /** Threads of a workgroup along the last dimension, a power of two, and workgroups along it. */
  width: 'u32',
  blocks: 'u32',
  /** 1: four floats per thread, where `hipCopyVectors` allows it. */
  vector: 'u32',
} as const;
export type HipCopyParams = StructValue<typeof PARAMS>;
type Shape = Pick<HipCopyParams, 'shape' | 'src_stride' | 'dst_stride' | 'src_dtype' | 'dst_dtype'>;

export const HIP_COPY_METHODS = ['elements', 'transposed'] as const;
const GROUP = 256;
const TILE = 32;
const MAX_GRID = 65535;

/** The parameters that follow from shape and strides. */
export function hipCopyParams(p: Shape, vector: 0 | 1 = hipCopyVectors(p)): HipCopyParams {
  const units = ceilDiv(p.shape[7]!, vector === 0 ? 1 : 4);
  // Narrow rows: fewer threads along them, more rows per workgroup.
  const width = Math.min(GROUP, 2 ** Math.ceil(Math.log2(Math.max(1, units))));
  return { ...p, rows: product(p.shape.slice(0, 7)), width, blocks: ceilDiv(units, width), vector };
}

export const hipCopy = declareHipKernel({
  id: 526,
  name: 'hip_copy',
  doc:
    'Strided copy with conversion between any dtypes (f32 to integers rounds to even and saturates, NaN gives 0); one ' +
    'dtype is moved bit for bit. `shape` has 8 entries; put the dimension that is dense in dst last, for the ' +
    'transposed method the one that is dense in src before it.',
  source: 'copy.hip',
  entry: (c) => `copy_${HIP_COPY_METHODS[c.method]}`,
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['method'],
  paramsName: 'hip_copy',
  params: PARAMS,
  extents: (p) => ({
    src: stridedRange(p.shape, p.src_stride, dtypeIdBytes(p.src_dtype)),
    dst: stridedRange(p.shape, p.dst_stride, dtypeIdBytes(p.dst_dtype)),
  }),
  geometry: (p, c): LaunchGeometry => {
    const [rows, inner] = [p.shape[6]!, p.shape[7]!];
    const threads = [GROUP, 1, 1] as const;
    if (HIP_COPY_METHODS[c.method] === 'transposed') {
      return { threadgroups: [ceilDiv(inner, TILE), ceilDiv(rows, TILE), product(p.shape.slice(0, 6))], threads };
    }
    return { threadgroups: [p.blocks * ceilDiv(p.rows, GROUP / p.width), 1, 1], threads };
  },
  refuse: (p, c) => {
    if (p.shape.length !== 8) return '`shape` has 8 entries';
    const rows = product(p.shape.slice(0, 7));
    if (rows > MAX_INT || p.shape[7]! > MAX_INT) return 'rows are counted in 31 bits';
    const method = HIP_COPY_METHODS[c.method];
    if (method === undefined) return `there is no method ${c.method}`;
    if (method === 'transposed') {
      const outer = product(p.shape.slice(0, 6));
      return outer > MAX_GRID || p.shape[6]! > MAX_GRID * TILE ? 'too many workgroups for one grid' : null;
    }
    if (p.vector !== 0 && hipCopyVectors(p) === 0) return 'the dtypes or strides allow no vectors';
    const { width, blocks } = hipCopyParams(p, p.vector === 0 ? 0 : 1);
    if (p.rows !== rows || p.width !== width || p.blocks !== blocks)
      return 'rows, width and blocks do not fit the shape';
    return p.blocks * ceilDiv(p.rows, GROUP / p.width) > MAX_INT ? 'too many workgroups for one grid' : null;
  },
});

const FLOATS: readonly number[] = [DTYPES.f32.id, DTYPES.f16.id, DTYPES.bf16.id];

/** 1 when both sides lie in whole vectors of four floats along the last dimension. */
export function hipCopyVectors(p: Shape, offsets: { readonly src?: number; readonly dst?: number } = {}): 0 | 1 {
  const fits = (strides: readonly number[], dtype: number, offset = 0) =>
    FLOATS.includes(dtype) &&
    strides[7] === 1 &&
    offset % (4 * dtypeIdBytes(dtype)) === 0 &&
    p.shape.every((size, i) => i === 7 || size <= 1 || strides[i]! % 4 === 0);
  const whole = p.shape[7]! % 4 === 0;
  return whole && fits(p.src_stride, p.src_dtype, offsets.src) && fits(p.dst_stride, p.dst_dtype, offsets.dst) ? 1 : 0;
}
