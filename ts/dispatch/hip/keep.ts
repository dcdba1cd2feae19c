// Activations for kernels that read rows of one type, dense along k: f32 for hip_gemv_exact, bfloat16 for hip_gemm_bf16. As
// they are where they have that form, else copied to working space.
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams, hipCopyVectors } from '../../kernels/hip/copy.ts';
import { product } from '../../kernels/hip/declare.ts';
import type { HipMatmulParams } from '../../kernels/hip/matmul.ts';
import { MAX_RANK } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { contiguousStrides } from '../../tensor/layout.ts';
import { batchStrides } from '../params.ts';
import type { MatmulProblem } from '../problem.ts';

export interface Kept {
  /** The kernel may read them where they are, if they begin at a multiple of {@link KEPT_ALIGNMENT}. */
  readonly direct: boolean;
  /** Parameters of the kernel for activations in working space. */
  readonly params: Pick<HipMatmulParams, 'a_dtype' | 'a_stride' | 'a_batch'>;
  readonly copy: (from: Binding, to: Binding) => Command;
  /** Of working space. */
  readonly bytes: number;
  /** The type that they have there. */
  readonly dtype: KeptDType;
}
type KeptDType = 'f32' | 'bf16';

/** Bytes: a load of four floats, or of eight halves. */
export const KEPT_ALIGNMENT = 16;

/** Whether hip_gemv_exact reads activations of this form where they are. */
export const isDirect = ({ m, k, a, batch, aDType }: MatmulProblem): boolean =>
  aDType === 'f32' &&
  (a.strides[1] === 1 || k === 1) &&
  (m === 1 || a.strides[0] % 4 === 0) &&
  batch.every((size, d) => size === 1 || a.batch[d]! % 4 === 0);

/** Whether hip_gemm_bf16, which takes no strides, reads activations of this form where they are. */
const isDirectBF16 = ({ m, k, a, batch, aDType }: MatmulProblem): boolean => {
  const strides = contiguousStrides([...batch, m, k]);
  const own = [...a.batch, ...a.strides];
  return aDType === 'bf16' && [...batch, m, k].every((size, d) => size === 1 || own[d] === strides[d]);
};

/** Integer activations as f32, for the kernels that read floats; undefined for floats, which they read as they are. */
export const keptNumbers = (problem: MatmulProblem): Kept | undefined =>
  DTYPES[problem.aDType].float ? undefined : keepActivations(problem, 'f32');

export function keepActivations(problem: MatmulProblem, dtype: KeptDType): Kept {
  const { m, k, a, batch } = problem;
  const a_batch = batchStrides(contiguousStrides(batch).map((stride) => stride * m * k));
  const lead = (values: readonly number[], fill: number) => [
    ...new Array<number>(MAX_RANK - values.length).fill(fill),
    ...values,
  ];
  const shape = {
    shape: lead([...batch, m, k], 1),
    src_stride: lead([...a.batch, ...a.strides], 0),
    dst_stride: lead(contiguousStrides([...batch, m, k]), 0),
    ...{ src_dtype: DTYPES[problem.aDType].id, dst_dtype: DTYPES[dtype].id },
  };
  return {
    direct: dtype === 'f32' ? isDirect(problem) : isDirectBF16(problem),
    params: { a_dtype: DTYPES[dtype].id, a_stride: [k, 1], a_batch },
    copy: (from, to) =>
      launch(hipCopy, {
        buffers: { src: from, dst: to },
        constants: { method: HIP_COPY_METHODS.indexOf('elements') },
        params: hipCopyParams(shape, hipCopyVectors(shape, { src: from.byteOffset, dst: to.byteOffset })),
        label: `copy ${m}x${k}`,
      }),
    bytes: Math.max(KEPT_ALIGNMENT, DTYPES[dtype].bytes * m * k * product(batch)),
    dtype,
  };
}
