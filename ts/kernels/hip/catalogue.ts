import { hipAffine } from './affine.ts';
import { hipCopy } from './copy.ts';
import type { AnyHipKernel } from './declare.ts';
import { hipGemmDense, hipGemvDense } from './dense.ts';
import { hipGemvExact } from './exact.ts';
import { hipGemm, hipGemmBF16, hipGemmSum } from './gemm.ts';
import { hipGemv } from './gemv.ts';
import { hipMoeGemv, hipMoeTiles } from './moe.ts';
import { hipQuantizeQ8 } from './quantize.ts';
import { hipDequantize, hipGetRows } from './rows.ts';
import { hipSoftmax } from './softmax.ts';

/** Every HIP kernel. Ids begin at 512, apart from the tables of the other back ends. */
export const HIP_KERNELS: readonly AnyHipKernel[] = [
  hipQuantizeQ8,
  hipGemv,
  hipMoeTiles,
  hipMoeGemv,
  hipGemm,
  hipGemmBF16,
  hipGemmSum,
  hipGemmDense,
  hipGemvDense,
  hipSoftmax,
  hipDequantize,
  hipGetRows,
  hipCopy,
  hipGemvExact,
  hipAffine,
] as unknown as readonly AnyHipKernel[];
