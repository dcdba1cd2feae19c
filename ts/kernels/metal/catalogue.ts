import { copy } from './copy.ts';
import type { AnyMetalKernel } from './declare.ts';
import { gemm, gemmThreads, gemv, gemvAffine, gemvT } from './matmul.ts';
import { dequantize, getRows } from './rows.ts';
import { softmax } from './softmax.ts';

/** Every Metal kernel. Ids are apart from the CPU's table, whose kernels are functions of the addon. */
export const METAL_KERNELS: readonly AnyMetalKernel[] = [
  gemv,
  gemvT,
  gemm,
  gemmThreads,
  softmax,
  dequantize,
  getRows,
  copy,
  gemvAffine,
] as unknown as readonly AnyMetalKernel[];
