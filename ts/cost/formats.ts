// What it takes to read weights of each type, as the shaders of `metal/formats` do.

import type { MatmulProblem } from '../dispatch/problem.ts';
import { DTYPES } from '../tensor/dtype.ts';

export interface Decoding {
  /** Loads of a lane for one weight, a load of 16 bytes counted as two. The test bed counts the same (docs/kernels.md). */
  readonly loads: number;
  /**
   * Cycles of a lane that turn one weight into a float. The operations are counted by hand in the source, each run's scale
   * divided by its weights: 4 cycles for a shift or the extraction of bits (metal-benchmarks), 4 for a conversion from an
   * integer and for a table (assumed to be like them), 1 for the others. f16 costs nothing: instructions take it as it is.
   */
  readonly cycles: number;
}
const decoding = (loads: number, cycles: number): Decoding => ({ loads, cycles });

const DECODING: Readonly<Record<string, Decoding>> = {
  f32: decoding(0.5, 0),
  f16: decoding(0.25, 0),
  bf16: decoding(0.25, 2.5),
  q4_0: decoding(1, 11),
  q4_1: decoding(1, 12),
  q5_0: decoding(1.5, 19),
  q5_1: decoding(1, 20),
  q8_0: decoding(1, 9.5),
  q2_k: decoding(1.5, 22),
  q3_k: decoding(2.5, 31),
  q4_k: decoding(0.375, 15),
  q5_k: decoding(0.5, 25),
  q6_k: decoding(1.5, 22),
  q8_k: decoding(0.5, 9),
  iq4_nl: decoding(1, 14),
  iq4_xs: decoding(0.5, 19),
  mxfp4: decoding(1.5, 26),
};
/** Integers of affine weights, one element at a time; formats of plug-ins are taken for the slowest known. */
const UNKNOWN = decoding(2.5, 31);

export const weightType = ({ format, bDType }: MatmulProblem): string => format?.name ?? bDType ?? 'f32';
export const decodingOf = (problem: MatmulProblem): Decoding => DECODING[weightType(problem)] ?? UNKNOWN;
/** The types that have an entry of their own. */
export const DECODED_TYPES: readonly string[] = Object.keys(DECODING);

/** Bytes of a row of `k` weights. */
export const weightRowBytes = ({ k, format, bDType }: MatmulProblem): number =>
  format === null ? k * DTYPES[bDType ?? 'f32'].bytes : (k / format.blockSize) * format.blockBytes;
