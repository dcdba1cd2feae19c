import type { Capabilities } from '../device/backend.ts';

/**
 * Policy: what should run, where several kernels may. Each entry is a number of rows of `a` up to which one family is
 * preferred over the next, so a choice can only move from GEMV to GEMM as rows are added.
 */
export interface TuningEntry {
  /** Rows up to which plain weights are streamed by `gemv` instead of packed by `gemm`. */
  readonly gemvRows: number;
  /** Rows up to which quantized weights are decoded to f32 row by row instead of panel by panel (`exact`). */
  readonly exactGemvRows: number;
  /** Rows up to which quantized weights are streamed by `quant_gemv` instead of unpacked by `quant_gemm` (`fast`). */
  readonly quantGemvRows: number;
}

/** Bounds that the kernels set. */
export const MAX_ROWS: TuningEntry = { gemvRows: 8, exactGemvRows: 8, quantGemvRows: 16 };

/** Defaults by architecture, measured with `bench matmul` where the comment says so. */
const TABLE: Readonly<Record<string, TuningEntry>> = {
  generic: { gemvRows: 4, exactGemvRows: 4, quantGemvRows: 4 },
};

const FALLBACK: TuningEntry = { gemvRows: 6, exactGemvRows: 4, quantGemvRows: 8 };

export function defaultTuning(capabilities: Capabilities): TuningEntry {
  return TABLE[capabilities.architecture] ?? FALLBACK;
}
