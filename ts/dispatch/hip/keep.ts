// Activations for hip_gemv_exact, which reads f32 rows that are dense along k: as they are where they have that form, else
// copied to working space.
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams } from '../../kernels/hip/copy.ts';
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
}

/** Bytes: a load of four floats. */
export const KEPT_ALIGNMENT = 16;

export const keptBytes = ({ m, k, batch }: MatmulProblem): number =>
  Math.max(KEPT_ALIGNMENT, 4 * m * k * product(batch));

/** Whether hip_gemv_exact reads activations of this form where they are. */
export const isDirect = ({ m, k, a, batch, aDType }: MatmulProblem): boolean =>
  aDType === 'f32' &&
  (a.strides[1] === 1 || k === 1) &&
  (m === 1 || a.strides[0] % 4 === 0) &&
  batch.every((size, d) => size === 1 || a.batch[d]! % 4 === 0);

export function keepActivations(problem: MatmulProblem): Kept {
  const { m, k, a, batch } = problem;
  const f32 = DTYPES.f32.id;
  const a_batch = batchStrides(contiguousStrides(batch).map((stride) => stride * m * k));
  const lead = (values: readonly number[], fill: number) => [
    ...new Array<number>(MAX_RANK - values.length).fill(fill),
    ...values,
  ];
  const params = hipCopyParams(
    {
      shape: lead([...batch, m, k], 1),
      src_stride: lead([...a.batch, ...a.strides], 0),
      dst_stride: lead(contiguousStrides([...batch, m, k]), 0),
      ...{ src_dtype: DTYPES[problem.aDType].id, dst_dtype: f32 },
    },
    0,
  );
  return {
    direct: isDirect(problem),
    params: { a_dtype: f32, a_stride: [k, 1], a_batch },
    copy: (from, to) =>
      launch(hipCopy, {
        buffers: { src: from, dst: to },
        constants: { method: HIP_COPY_METHODS.indexOf('elements') },
        params,
        label: `copy ${m}x${k}`,
      }),
  };
}
