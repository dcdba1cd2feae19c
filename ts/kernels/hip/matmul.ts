// What the matmul kernels of the HIP back end share: buffers, parameters and the bytes that they touch.
import { type BufferUse, type ByteRange, stridedRange } from '../declare.ts';
import type { StructValue } from '../struct.ts';
import { dtypeIdBytes, formatOfId, isFormatId } from '../types.ts';

/** `a` is activations: plain elements, or the output of `hip_quantize_q8` for the kernels on integer dot products. */
export const HIP_MATMUL_BUFFERS = {
  a: { access: 'read' },
  b: { access: 'read' },
  out: { access: 'write' },
  bias: { access: 'read', optional: true },
  residual: { access: 'read', optional: true, inPlace: true },
  gate: { access: 'read', optional: true },
  gate_bias: { access: 'read', optional: true },
} as const satisfies Record<string, BufferUse>;

/** What `store_output` of hip/common/epilogue.h reads; dtypes are ids, the activation one of ACTIVATIONS. */
export const HIP_EPILOGUE_PARAMS = {
  out_stride: 'i64[2]',
  residual_stride: 'i64[2]',
  bias_stride: 'i64',
  gate_bias_stride: 'i64',
  out_dtype: 'u32',
  residual_dtype: 'u32',
  bias_dtype: 'u32',
  activation: 'u32',
  alpha: 'f32',
  beta: 'f32',
} as const;

/**
 * out[m, n] = act(alpha * sum_k a[m, k] * b[n, k] + bias[n]) + beta * residual[m, n], or with a gate
 * (alpha * a·b + bias) * act(a·gate + gate_bias) + beta * residual. Strides are in elements, those of block-quantized
 * rows (b_stride[0], gate_stride[0]) in bytes; `a_stride` of 8-bit activations is unused.
 */
export const HIP_MATMUL_PARAMS = {
  m: 'u32',
  n: 'u32',
  k: 'u32',
  /** GEMV: 2^split_shift waves share the work of one group of outputs along k; a workgroup has `groups` groups. */
  split_shift: 'u32',
  groups: 'u32',
  /** GEMM: workgroups that share a tile along k; with more than one, `out` is working space for `hip_gemm_sum`. */
  splits: 'u32',
  a_stride: 'i64[2]',
  b_stride: 'i64[2]',
  gate_stride: 'i64[2]',
  ...HIP_EPILOGUE_PARAMS,
  a_dtype: 'u32',
  b_dtype: 'u32',
  batch: 'u32[4]',
  a_batch: 'i64[4]',
  b_batch: 'i64[4]',
  gate_batch: 'i64[4]',
  out_batch: 'i64[4]',
  residual_batch: 'i64[4]',
} as const;
export type HipMatmulParams = StructValue<typeof HIP_MATMUL_PARAMS>;

/** Activations per block of the 8-bit format (hip/common/q8.h), and its bytes. */
export const Q8_BLOCK = 256;
export const Q8_BLOCK_BYTES = 320;
/** Bytes of `rows` rows of 8-bit activations, `group` of them interleaved. */
export const q8Bytes = (rows: number, k: number, group: number): number =>
  Math.ceil(rows / group) * group * Math.ceil(k / Q8_BLOCK) * Q8_BLOCK_BYTES;

function weights(p: HipMatmulParams, stride: readonly number[], batch: readonly number[]): ByteRange {
  if (!isFormatId(p.b_dtype)) {
    return stridedRange([p.n, p.k, ...p.batch], [...stride, ...batch], dtypeIdBytes(p.b_dtype));
  }
  const { blockSize, blockBytes } = formatOfId(p.b_dtype);
  const span = stridedRange([p.n, ...p.batch], [stride[0]!, ...batch], 1);
  if (span.to === 0 || p.k === 0) return { from: 0, to: 0 };
  return { from: span.from, to: span.to - 1 + (p.k / blockSize) * blockBytes };
}

/** Extents of what the epilogue touches. */
export function hipEpilogueExtents(
  p: Pick<HipMatmulParams, keyof typeof HIP_EPILOGUE_PARAMS | 'm' | 'n' | 'batch' | 'out_batch' | 'residual_batch'>,
) {
  return {
    out: stridedRange([p.m, p.n, ...p.batch], [...p.out_stride, ...p.out_batch], dtypeIdBytes(p.out_dtype)),
    residual: stridedRange(
      [p.m, p.n, ...p.batch],
      [...p.residual_stride, ...p.residual_batch],
      dtypeIdBytes(p.residual_dtype),
    ),
    bias: stridedRange([p.n], [p.bias_stride], dtypeIdBytes(p.bias_dtype)),
    gate_bias: stridedRange([p.n], [p.gate_bias_stride], dtypeIdBytes(p.bias_dtype)),
  };
}
/** Extents of every buffer but `a`, whose form differs. */
export const hipMatmulExtents = (p: HipMatmulParams) => ({
  b: weights(p, p.b_stride, p.b_batch),
  gate: weights(p, p.gate_stride, p.gate_batch),
  ...hipEpilogueExtents(p),
});
/** Extent of plain activations. */
export const hipDenseA = (p: HipMatmulParams): ByteRange =>
  stridedRange([p.m, p.k, ...p.batch], [...p.a_stride, ...p.a_batch], dtypeIdBytes(p.a_dtype));
/** Extent of 8-bit activations of all batches, in order, in groups of rows that do not reach into the next batch. */
export const hipQ8A = (p: HipMatmulParams, group: number): ByteRange => ({
  from: 0,
  to: p.batch.reduce((x, y) => x * y, 1) * q8Bytes(p.m, p.k, group),
});
