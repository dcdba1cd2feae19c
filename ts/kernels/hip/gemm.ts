import type { LaunchGeometry } from '../declare.ts';
import { formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import { hipBlockAlignment } from './gemv.ts';
import { HIP_MATMUL_BUFFERS, HIP_MATMUL_PARAMS, hipMatmulExtents, hipQ8A } from './matmul.ts';

/** Rows of activations and of weights that a workgroup multiplies; with a gate, half of the latter are the gate's. */
export const HIP_GEMM_TILE = { m: 64, n: 128 } as const;
const THREADS = 256;
const MAX_GRID = 65535;

export const hipGemm = declareHipKernel({
  id: 520,
  name: 'hip_gemm',
  doc:
    'Block-quantized weights times any number of rows of 8-bit activations (in their own order: step 0, groups of 1): ' +
    'tiles unpacked to bytes in LDS, multiplied by matrix instructions where the target has them, else by dot products.',
  source: 'gemm.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  entry: (c) => `gemm_${formatOfId(c.b_dtype).name}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  constants: ['b_dtype', 'gate'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p) => ({ ...hipMatmulExtents(p), a: hipQ8A(p, 1) }),
  geometry: (p, c): LaunchGeometry => ({
    // Workgroups with the same weights follow each other.
    threadgroups: [
      ceilDiv(p.m, HIP_GEMM_TILE.m),
      ceilDiv(p.n, HIP_GEMM_TILE.n / (c.gate === 0 ? 1 : 2)),
      product(p.batch),
    ],
    threads: [THREADS, 1, 1],
  }),
  refuse: (p, c) => {
    if (!isFormatId(c.b_dtype) || p.b_dtype !== c.b_dtype) {
      return 'b is not of the block-quantized format of the instance';
    }
    const { blockSize, name } = formatOfId(c.b_dtype);
    if (p.k % blockSize !== 0) return 'k is not a whole number of blocks';
    if (p.k > MAX_INT || p.m > MAX_INT) return 'm and k are counted in 31 bits';
    if (ceilDiv(p.n, HIP_GEMM_TILE.n / 2) > MAX_GRID || product(p.batch) > MAX_GRID) {
      return 'too many workgroups for one grid';
    }
    const unit = hipBlockAlignment(c.b_dtype);
    const strides = [p.b_stride[0]!, ...p.b_batch, ...(c.gate === 0 ? [] : [p.gate_stride[0]!, ...p.gate_batch])];
    if (strides.some((stride) => stride % unit !== 0)) return `rows of ${name} start at multiples of ${unit} bytes`;
    return null;
  },
});
