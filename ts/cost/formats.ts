// What it takes to read weights of each type, as the shaders of `metal/formats` do.

import type { MatmulProblem } from '../dispatch/problem.ts';
import { DTYPES } from '../tensor/dtype.ts';

export interface Decoding {
  /** Loads of a lane for one weight, a load of 16 bytes counted as two. The test bed counts the same (docs/kernels.md). */
  readonly loads: number;
  /**
   * Operations that turn one weight into a float, counted in the source: shifts, masks, conversions, scales, tables. The
   * instructions take f16 as it is.
   */
  readonly operations: number;
}
const decoding = (loads: number, operations: number): Decoding => ({ loads, operations });

const DECODING: Readonly<Record<string, Decoding>> = {
  f32: decoding(0.5, 0),
  f16: decoding(0.25, 0),
  bf16: decoding(0.25, 0),
  q4_0: decoding(1, 5),
  q4_1: decoding(1, 4),
  q5_0: decoding(1.5, 8),
  q5_1: decoding(1, 7),
  q8_0: decoding(1, 3),
  q2_k: decoding(1.5, 4),
  q3_k: decoding(2.5, 8),
  q4_k: decoding(0.375, 5),
  q5_k: decoding(0.5, 9),
  q6_k: decoding(1.5, 8),
  q8_k: decoding(0.5, 3),
  iq4_nl: decoding(1, 5),
  iq4_xs: decoding(0.5, 5),
  mxfp4: decoding(1.5, 5),
};
/** Integers of affine weights, one element at a time; formats of plug-ins are taken for the slowest known. */
const UNKNOWN = decoding(2.5, 9);

export const weightType = ({ format, bDType }: MatmulProblem): string => format?.name ?? bDType ?? 'f32';
export const decodingOf = (problem: MatmulProblem): Decoding => DECODING[weightType(problem)] ?? UNKNOWN;
/** The types that have an entry of their own. */
export const DECODED_TYPES: readonly string[] = Object.keys(DECODING);

/** Bytes of a row of `k` weights. */
export const weightRowBytes = ({ k, format, bDType }: MatmulProblem): number =>
  format === null ? k * DTYPES[bDType ?? 'f32'].bytes : (k / format.blockSize) * format.blockBytes;
