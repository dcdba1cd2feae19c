import type { MatmulParams } from '../kernels/matmul.ts';
import { MAX_BATCH_RANK } from '../kernels/types.ts';
import type { MatmulProblem } from './problem.ts';

/** Batch sizes as kernels take them: always {@link MAX_BATCH_RANK}. */
export const batchSizes = (batch: readonly number[]): number[] => [
  ...new Array<number>(MAX_BATCH_RANK - batch.length).fill(1),
  ...batch,
];
/** Batch strides as kernels take them. */
export const batchStrides = (strides: readonly number[]): number[] => [
  ...new Array<number>(MAX_BATCH_RANK - strides.length).fill(0),
  ...strides,
];

/**
 * The parameter struct that the matmul kernels of all back ends share; frozen, so that back ends may keep what they
 * derive from it.
 */
export function matmulParams(problem: MatmulProblem): MatmulParams {
  const none = [0, 0] as const;
  const { affine, gateAffine } = problem;
  const params: MatmulParams = {
    m: problem.m,
    n: problem.n,
    k: problem.k,
    a_stride: problem.a.strides,
    b_stride: problem.b.strides,
    gate_stride: problem.gate?.strides ?? none,
    out_stride: problem.out.strides,
    residual_stride: problem.residual?.strides ?? none,
    bias_stride: problem.biasStride,
    gate_bias_stride: problem.gateBiasStride,
    batch: batchSizes(problem.batch),
    a_batch: batchStrides(problem.a.batch),
    b_batch: batchStrides(problem.b.batch),
    gate_batch: batchStrides(problem.gate?.batch ?? []),
    out_batch: batchStrides(problem.out.batch),
    residual_batch: batchStrides(problem.residual?.batch ?? []),
    group: affine?.group ?? 0,
    scale_stride: affine?.scale ?? none,
    zero_stride: affine?.zero ?? none,
    offset_stride: affine?.offset ?? none,
    gate_scale_stride: gateAffine?.scale ?? none,
    gate_zero_stride: gateAffine?.zero ?? none,
    gate_offset_stride: gateAffine?.offset ?? none,
    alpha: problem.alpha,
    beta: problem.beta,
  };
  for (const value of Object.values(params)) Object.freeze(value);
  return Object.freeze(params);
}
