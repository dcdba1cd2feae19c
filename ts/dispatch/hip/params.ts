import type { HipMatmulParams } from '../../kernels/hip/matmul.ts';
import { ACTIVATIONS } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { batchSizes, batchStrides } from '../params.ts';
import type { MatmulProblem } from '../problem.ts';
import { plain } from './decode.ts';
import { keptNumbers } from './keep.ts';

/** Whether the instance with a gate is wanted, as kernels' constants have it. */
export const gateOf = ({ gate }: MatmulProblem): 0 | 1 => (gate === null ? 0 : 1);

/** The parameter struct that all matmul kernels of the HIP back end share. */
export function hipParams(problem: MatmulProblem): HipMatmulParams {
  const none = [0, 0] as const;
  return {
    m: problem.m,
    n: problem.n,
    k: problem.k,
    split_shift: 0,
    groups: 1,
    splits: 1,
    a_stride: problem.a.strides,
    b_stride: problem.b.strides,
    gate_stride: problem.gate?.strides ?? none,
    out_stride: problem.out.strides,
    residual_stride: problem.residual?.strides ?? none,
    bias_stride: problem.biasStride,
    gate_bias_stride: problem.gateBiasStride,
    out_dtype: DTYPES[problem.outDType].id,
    residual_dtype: DTYPES[problem.residualDType ?? 'f32'].id,
    bias_dtype: DTYPES[problem.biasDType ?? 'f32'].id,
    activation: ACTIVATIONS[problem.activation],
    alpha: problem.alpha,
    beta: problem.beta,
    a_dtype: DTYPES[problem.aDType].id,
    b_dtype: problem.format?.id ?? DTYPES[problem.bDType ?? 'f32'].id,
    batch: batchSizes(problem.batch),
    a_batch: batchStrides(problem.a.batch),
    b_batch: batchStrides(problem.b.batch),
    gate_batch: batchStrides(problem.gate?.batch ?? []),
    out_batch: batchStrides(problem.out.batch),
    residual_batch: batchStrides(problem.residual?.batch ?? []),
  };
}

/** The parameters of the kernels on plain matrices: of weights and activations as they are once decoded. */
export const denseParams = (problem: MatmulProblem, rows = problem.n): HipMatmulParams => ({
  ...hipParams(plain(problem, rows)),
  ...keptNumbers(problem)?.params,
});
