import type { AnyKernel } from './declare.ts';
import { copy, dequantize, getRows, probePeak, probeRead, softmax } from './elementwise.ts';
import { gemm, gemv, matmulReference, quantGemm, quantGemv, quantizeQ8 } from './matmul.ts';

/** Every kernel of the package; a kernel's id is its place here. */
export const KERNELS: readonly AnyKernel[] = [
  matmulReference,
  gemm,
  gemv,
  quantizeQ8,
  quantGemv,
  quantGemm,
  copy,
  dequantize,
  softmax,
  probeRead,
  probePeak,
  getRows,
] as unknown as readonly AnyKernel[];
