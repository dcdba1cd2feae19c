import { type BufferUse, stridedRange } from '../declare.ts';
import { dtypeIdBytes, formatOfId } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT } from './declare.ts';
import { hipBlockAlignment, maxWaves } from './gemv.ts';
import { HIP_EPILOGUE_PARAMS, HIP_MATMUL_BUFFERS, q8Bytes } from './matmul.ts';

/** Pairs of a tile, and bytes of one (hip/common/moe.h). */
export const MOE_COLUMNS = 4;
export const MOE_TILE_BYTES = 8 + 4 * MOE_COLUMNS;
export const MAX_EXPERTS = 1024;

/** Tiles that `pairs` pairs can make: every expert may have one that is not full. */
export const moeTiles = (pairs: number, experts: number): number =>
  Math.min(pairs, Math.floor(pairs / MOE_COLUMNS) + experts);

export const hipMoeTiles = declareHipKernel({
  id: 514,
  name: 'hip_moe_tiles',
  doc: 'Groups (token, expert) pairs by expert for hip_moe_gemv: ids[pair] is an i32 expert, others are left out.',
  source: 'moe_tiles.hip',
  entry: () => 'moe_tiles',
  buffers: { ids: { access: 'read' }, tiles: { access: 'write' } },
  constants: [],
  paramsName: 'hip_moe_tiles',
  params: { pairs: 'u32', experts: 'u32', tiles: 'u32' },
  extents: (p) => ({ ids: { from: 0, to: 4 * p.pairs }, tiles: { from: 0, to: MOE_TILE_BYTES * p.tiles } }),
  geometry: () => ({ threadgroups: [1, 1, 1], threads: [256, 1, 1] }),
  refuse: (p) => {
    if (p.experts < 1 || p.experts > MAX_EXPERTS) return `${p.experts} experts; there may be 1 to ${MAX_EXPERTS}`;
    if (p.tiles < moeTiles(p.pairs, p.experts)) return `${p.tiles} tiles are too few`;
    return null;
  },
});

export const hipMoeGemv = declareHipKernel({
  id: 515,
  name: 'hip_moe_gemv',
  doc:
    'Quantized GEMV over experts: pair i multiplies row i / share of 8-bit activations (one row per group) by the ' +
    'weights of its expert into row i of the results; tiles of hip_moe_tiles read each weight once for up to four pairs.',
  source: 'moe_gemv.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  entry: (c) => `moe_gemv_${formatOfId(c.b_dtype).name}_c${MOE_COLUMNS}_r1${c.gate === 0 ? '' : '_gate'}`,
  buffers: { ...HIP_MATMUL_BUFFERS, tiles: { access: 'read' } as BufferUse },
  constants: ['b_dtype', 'gate', 'wave'],
  paramsName: 'hip_moe_gemv',
  params: {
    pairs: 'u32',
    n: 'u32',
    k: 'u32',
    tiles: 'u32',
    experts: 'u32',
    share: 'u32',
    split_shift: 'u32',
    groups: 'u32',
    b_stride: 'i64[2]',
    gate_stride: 'i64[2]',
    /** Bytes from one expert's weights to the next one's, and elements of the biases. */
    b_expert: 'i64',
    gate_expert: 'i64',
    bias_expert: 'i64',
    ...HIP_EPILOGUE_PARAMS,
  },
  extents: (p, c) => {
    const { blockSize, blockBytes } = formatOfId(c.b_dtype);
    const row = (p.k / blockSize) * blockBytes;
    const weights = (stride: readonly number[], expert: number) => {
      const span = stridedRange([p.n, p.experts], [stride[0]!, expert], 1);
      return { from: span.from, to: span.to - 1 + row };
    };
    const biases = (stride: number) =>
      stridedRange([p.n, p.experts], [stride, p.bias_expert], dtypeIdBytes(p.bias_dtype));
    return {
      a: { from: 0, to: q8Bytes(ceilDiv(p.pairs, p.share), p.k, 1) },
      b: weights(p.b_stride, p.b_expert),
      gate: weights(p.gate_stride, p.gate_expert),
      out: stridedRange([p.pairs, p.n], p.out_stride, dtypeIdBytes(p.out_dtype)),
      residual: stridedRange([p.pairs, p.n], p.residual_stride, dtypeIdBytes(p.residual_dtype)),
      bias: biases(p.bias_stride),
      gate_bias: biases(p.gate_bias_stride),
      tiles: { from: 0, to: MOE_TILE_BYTES * p.tiles },
    };
  },
  geometry: (p, c) => ({
    threadgroups: [ceilDiv(p.n, p.groups), p.tiles, 1],
    threads: [(p.groups << p.split_shift) * c.wave, 1, 1],
    threadgroupBytes: [
      Math.max(16, p.split_shift > 0 ? (p.groups << p.split_shift) * MOE_COLUMNS * (1 + c.gate) * 4 : 0),
    ],
  }),
  refuse: (p, c) => {
    const { blockSize, name } = formatOfId(c.b_dtype);
    if (p.k % blockSize !== 0) return 'k is not a whole number of blocks';
    if (p.k > MAX_INT || p.n > MAX_INT) return 'n and k are counted in 31 bits';
    const waves = p.groups << p.split_shift;
    if (p.groups < 1 || waves > maxWaves(c.wave)) return `${waves} waves are no workgroup`;
    if (p.share < 1) return 'a row of activations serves one pair or more';
    const unit = hipBlockAlignment(c.b_dtype);
    const strides = [p.b_stride[0]!, p.b_expert, ...(c.gate === 0 ? [] : [p.gate_stride[0]!, p.gate_expert])];
    if (strides.some((stride) => stride % unit !== 0)) return `rows of ${name} start at multiples of ${unit} bytes`;
    return null;
  },
});
