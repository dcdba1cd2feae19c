import { DTYPES } from '../../tensor/dtype.ts';
import { type LaunchGeometry, stridedRange } from '../declare.ts';
import type { StructValue } from '../struct.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareMetalKernel, MAX_INT, product } from './declare.ts';

const PARAMS = { shape: 'i64[8]', src_stride: 'i64[8]', dst_stride: 'i64[8]' } as const;
export type CopyParams = StructValue<typeof PARAMS>;

export const COPY_METHODS = ['elements', 'transposed'] as const;
const DTYPE_IDS = Object.values(DTYPES).map(({ id }) => id);
const GROUP = 256;
const TILE = 32;

export const copy = declareMetalKernel({
  id: 263,
  name: 'metal_copy',
  doc:
    'Strided copy with conversion between any dtypes (f32 to integers rounds to even and saturates, NaN gives 0); one ' +
    'dtype is moved bit for bit. `shape` has 8 entries; put the dimension that is dense in dst last, for the ' +
    'transposed method the one that is dense in src before it.',
  source: 'copy.metal',
  entry: (c) => `copy_${COPY_METHODS[c.method]}`,
  buffers: { src: { access: 'read' }, dst: { access: 'write' } },
  constants: ['src_dtype', 'dst_dtype', 'vector', 'method'],
  paramsName: 'copy',
  params: PARAMS,
  extents: (p, c) => ({
    src: stridedRange(p.shape, p.src_stride, dtypeIdBytes(c.src_dtype)),
    dst: stridedRange(p.shape, p.dst_stride, dtypeIdBytes(c.dst_dtype)),
  }),
  alignment: (_, c) => {
    const vector = c.vector === 0 ? 1 : 4;
    return { src: vector * dtypeIdBytes(c.src_dtype), dst: vector * dtypeIdBytes(c.dst_dtype) };
  },
  choices: { src_dtype: DTYPE_IDS, dst_dtype: DTYPE_IDS, vector: [0, 1] },
  geometry: (p, c): LaunchGeometry => {
    const outer = product(p.shape.slice(0, 6));
    const [rows, inner] = [p.shape[6]!, p.shape[7]!];
    if (COPY_METHODS[c.method] === 'transposed') {
      return { threadgroups: [ceilDiv(inner, TILE), ceilDiv(rows, TILE), outer], threads: [GROUP, 1, 1] };
    }
    // Narrow rows: fewer threads along them, more rows per threadgroup.
    const units = ceilDiv(inner, c.vector === 0 ? 1 : 4);
    const width = Math.min(GROUP, 2 ** Math.ceil(Math.log2(Math.max(1, units))));
    return {
      threadgroups: [ceilDiv(units, width), ceilDiv(outer * rows, GROUP / width), 1],
      threads: [width, GROUP / width, 1],
    };
  },
  refuse: (p, c) => {
    if (p.shape.length !== 8) return '`shape` has 8 entries';
    if (product(p.shape.slice(0, 7)) > MAX_INT || p.shape[7]! > MAX_INT) return 'rows are counted in 32 bits';
    if (c.vector !== 0 && (c.src_dtype > 2 || c.dst_dtype > 2)) return 'integers are not copied in vectors';
    if (c.vector !== 0 && copyVectors(p, c) === 0) return 'the strides allow no vector loads';
    return COPY_METHODS[c.method] === undefined ? `there is no method ${c.method}` : null;
  },
});

/** 1 when both sides lie in whole vectors of four floats along the last dimension. */
export function copyVectors(
  p: CopyParams,
  c: { readonly src_dtype: number; readonly dst_dtype: number },
  offsets: { readonly src?: number; readonly dst?: number } = {},
): 0 | 1 {
  const fits = (strides: readonly number[], dtype: number, offset = 0) =>
    dtype <= 2 &&
    strides[7] === 1 &&
    offset % (4 * dtypeIdBytes(dtype)) === 0 &&
    p.shape.every((size, i) => i === 7 || size <= 1 || strides[i]! % 4 === 0);
  const whole = p.shape[7]! % 4 === 0;
  return whole && fits(p.src_stride, c.src_dtype, offsets.src) && fits(p.dst_stride, c.dst_dtype, offsets.dst) ? 1 : 0;
}
