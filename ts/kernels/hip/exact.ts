// Quantized weights times activations that stay f32.
import { DTYPES } from '../../tensor/dtype.ts';
import type { LaunchGeometry } from '../declare.ts';
import { formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareHipKernel, product } from './declare.ts';
import { hipBlockAlignment, maxWaves } from './gemv.ts';
import { HIP_MATMUL_BUFFERS, HIP_MATMUL_PARAMS, hipDenseA, hipMatmulExtents } from './matmul.ts';

/** Rows of activations that one pass over the weights multiplies. */
export const HIP_EXACT_COLUMNS: readonly number[] = [1, 4, 8];
const MAX_GRID = 65535;
/** Byte offsets along a row are counted in 32 bits. */
const MAX_K = 2 ** 29;

export const hipGemvExact = declareHipKernel({
  id: 527,
  name: 'hip_gemv_exact',
  doc:
    'Block-quantized weights times up to 8 rows of f32 activations that are dense along k and begin at multiples of 16 ' +
    'bytes: weights are decoded to f32 in registers as they stream; the epilogue of all matmuls.',
  source: 'gemv_exact.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  entry: (c) => `gemv_exact_${formatOfId(c.b_dtype).name}_c${c.columns}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  /** As for hip_gemv: an instance, and the lanes of a wave on the device. */
  constants: ['b_dtype', 'columns', 'gate', 'wave'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p) => ({ ...hipMatmulExtents(p), a: hipDenseA(p) }),
  geometry: (p, c): LaunchGeometry => ({
    threadgroups: [ceilDiv(p.n, p.groups), ceilDiv(p.m, c.columns), product(p.batch)],
    threads: [(p.groups << p.split_shift) * c.wave, 1, 1],
    threadgroupBytes: [
      Math.max(16, p.split_shift > 0 ? (p.groups << p.split_shift) * c.columns * (1 + c.gate) * 4 : 0),
    ],
  }),
  refuse: (p, c) => {
    if (!isFormatId(c.b_dtype) || p.b_dtype !== c.b_dtype) {
      return 'b is not of the block-quantized format of the instance';
    }
    const { blockSize, name } = formatOfId(c.b_dtype);
    if (p.k % blockSize !== 0) return 'k is not a whole number of blocks';
    if (p.k > MAX_K) return 'k is counted in 29 bits';
    if (!HIP_EXACT_COLUMNS.includes(c.columns)) return `there is no instance of ${c.columns} columns`;
    const waves = p.groups << p.split_shift;
    if (p.groups < 1 || waves > maxWaves(c.wave)) return `${waves} waves are no workgroup`;
    if (ceilDiv(p.m, c.columns) > MAX_GRID || product(p.batch) > MAX_GRID) return 'too many workgroups for one grid';
    const unit = hipBlockAlignment(c.b_dtype);
    const strides = [p.b_stride[0]!, ...p.b_batch, ...(c.gate === 0 ? [] : [p.gate_stride[0]!, ...p.gate_batch])];
    if (strides.some((stride) => stride % unit !== 0)) return `rows of ${name} start at multiples of ${unit} bytes`;
    if (p.a_dtype !== DTYPES.f32.id || (p.a_stride[1] !== 1 && p.k > 1)) return 'a is not f32, dense along k';
    const steps = [p.m > 1 ? p.a_stride[0]! : 0, ...p.a_batch.map((stride, d) => (p.batch[d]! > 1 ? stride : 0))];
    return steps.some((stride) => stride % 4 !== 0) ? 'rows of a begin at multiples of 16 bytes' : null;
  },
});
