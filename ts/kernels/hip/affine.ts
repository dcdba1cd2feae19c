import { stridedRange } from '../declare.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT } from './declare.ts';

const GROUP = 256;

export const hipAffine = declareHipKernel({
  id: 528,
  name: 'hip_affine',
  doc:
    'Rows of weights [n, k] of any dtype and strides to dense f32: scale * (q - zero) + offset, with one f32 entry of each ' +
    'per row and `group` of weights; what is left out is 1 or 0.',
  source: 'affine.hip',
  entry: () => 'affine',
  buffers: {
    src: { access: 'read' },
    dst: { access: 'write' },
    scale: { access: 'read', optional: true },
    zero: { access: 'read', optional: true },
    offset: { access: 'read', optional: true },
  },
  constants: [],
  paramsName: 'hip_affine',
  params: {
    n: 'u32',
    k: 'u32',
    src_dtype: 'u32',
    group: 'u32',
    /** Workgroups along a row: `hipAffineBlocks`. */
    blocks: 'u32',
    src_stride: 'i64[2]',
    scale_stride: 'i64[2]',
    zero_stride: 'i64[2]',
    offset_stride: 'i64[2]',
  },
  extents: (p) => {
    const entries = (stride: readonly number[]) => stridedRange([p.n, ceilDiv(p.k, p.group)], stride, 4);
    return {
      src: stridedRange([p.n, p.k], p.src_stride, dtypeIdBytes(p.src_dtype)),
      dst: { from: 0, to: 4 * p.n * p.k },
      scale: entries(p.scale_stride),
      zero: entries(p.zero_stride),
      offset: entries(p.offset_stride),
    };
  },
  geometry: (p) => ({ threadgroups: [p.blocks * p.n, 1, 1], threads: [GROUP, 1, 1] }),
  refuse: (p) => {
    if (p.group < 1) return 'no weights share an entry';
    if (p.blocks !== hipAffineBlocks(p.k)) return 'blocks do not fit k';
    return p.k > MAX_INT || p.blocks * p.n > MAX_INT ? 'n and k are counted in 31 bits' : null;
  },
});

export const hipAffineBlocks = (k: number): number => ceilDiv(k, GROUP);
