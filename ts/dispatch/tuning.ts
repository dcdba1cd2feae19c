/** Numbers of rows up to which one family is preferred over the next: what every back end's policy has. */
export type CrossOver = 'gemvRows' | 'exactGemvRows' | 'quantGemvRows';

/**
 * Policy: what should run, where several kernels may. The cross-overs are numbers of rows of `a`, so a choice can only
 * move from GEMV to GEMM as rows are added; a back end may have further entries, which its `limits` name.
 */
export interface TuningEntry {
  /** Rows up to which plain weights are streamed by a GEMV instead of tiled by a GEMM. */
  readonly gemvRows: number;
  /** Rows up to which quantized weights are decoded to f32 row by row instead of tile by tile (`exact`). */
  readonly exactGemvRows: number;
  /** Rows up to which quantized weights are streamed by a GEMV instead of unpacked tile by tile (`fast`). */
  readonly quantGemvRows: number;
  readonly [name: string]: number;
}

/** Smallest and largest value of an entry that the kernels can serve. */
export type TuningLimits = Readonly<Record<string, readonly [number, number]>>;
