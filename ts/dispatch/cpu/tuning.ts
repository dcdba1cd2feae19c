import type { Capabilities } from '../../device/backend.ts';
import { QuantFormat } from '../../tensor/quant-format.ts';
import type { MatmulProblem } from '../problem.ts';
import { weightsOf } from '../rules.ts';
import { entryName, perFormat, type TuningEntry, type TuningLimits } from '../tuning.ts';

/**
 * The policy of the CPU back end. Every entry but `threads` may be given per format of weights: `threadWork.q4_k`.
 */
export interface CpuTuning extends TuningEntry {
  /** Worker threads of a launch at most; 0: all that the device has. */
  readonly threads: number;
  /** Multiply-adds, in units of 1024, that a launch has for each of its threads; 0: the kernels' own rules. */
  readonly threadWork: number;
  /** Tiles of rows of a task of `gemm`; 0 leaves this and the next ones to the kernel. */
  readonly gemmTiles: number;
  /** Columns of a task of `gemm`. */
  readonly gemmColumns: number;
  /** k per packed panel of `gemm`, where the weights are not of blocks. */
  readonly gemmDepth: number;
  /** Tiles of rows of weights of a task of `quant_gemm`. */
  readonly quantGemmTiles: number;
  /** Rows of activations of a task of `quant_gemm`. */
  readonly quantGemmColumns: number;
  /** k per panel of `quant_gemm`: whole super-blocks. */
  readonly quantGemmDepth: number;
}

const ANY = {
  threadWork: [0, 2 ** 20],
} as const satisfies TuningLimits;
const PLAIN = {
  gemvRows: [1, 64],
  gemmDepth: [0, 256],
} as const satisfies TuningLimits;
/** `gemm` takes plain weights, and quantized ones where precision is `exact`. */
const GEMM = {
  gemmTiles: [0, 16],
  gemmColumns: [0, 2048],
} as const satisfies TuningLimits;
const QUANTIZED = {
  exactGemvRows: [1, 64],
  quantGemvRows: [1, 16],
  quantGemmTiles: [0, 8],
  quantGemmColumns: [0, 2048],
  quantGemmDepth: [0, 512],
} as const satisfies TuningLimits;

const floats = ['f32', 'f16', 'bf16'] as const;
const formats = QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name]));

/** What the kernels themselves take at most; `gemv` takes any number of rows, in passes of 8. */
export const LIMITS: TuningLimits = {
  threads: [0, 1024],
  ...perFormat({ ...ANY, ...GEMM }, [...floats, ...formats]),
  ...perFormat(PLAIN, floats),
  ...perFormat(QUANTIZED, formats),
};

/**
 * Where nobody measured, and what sweeps left as it was. Two cores of an AMD EPYC (Zen 4), AVX-512, [4096, 4096] weights
 * from memory, medians of 9 passes in ms, streamed / packed (`bench sweep --study Rows --json`):
 *
 * | rows | f32 | f16 | q4_k fast |
 * | --- | --- | --- | --- |
 * | 4 | 2.7 / 5.4 | 1.1 / 3.5 | 0.41 / 0.76 |
 * | 8 | 3.6 / 5.5 | 2.3 / 4.2 | 0.60 / 0.89 |
 * | 12 | 5.8 / 6.1 | 3.4 / 4.8 | 0.96 / 1.12 |
 * | 16 | 7.3 / 5.7 | 4.4 / 4.8 | 1.50 / 1.77 |
 * | 20 | 8.9 / 7.0 | 5.5 / 6.2 |  |
 * | 24 | 10.9 / 7.7 | 7.2 / 7.5 |  |
 */
const PORTABLE: CpuTuning = {
  gemvRows: 12,
  exactGemvRows: 8,
  quantGemvRows: 16,
  threads: 0,
  threadWork: 0,
  gemmTiles: 0,
  gemmColumns: 0,
  gemmDepth: 0,
  quantGemmTiles: 0,
  quantGemmColumns: 0,
  quantGemmDepth: 0,
};

/**
 * By instruction set, from sweeps on the same machine with k = 4096 (`bench sweep --study Rows`, docs/tuning.md): the time of
 * the GEMV by that of the GEMM, the median over the passes and its 95% interval.
 *
 * | rows | f16, n = 1024 | n = 4096 | n = 14336 | bf16, n = 1024 | n = 4096 | n = 14336 |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | 14 | 0.74 (0.70..0.75) | 0.78 (0.75..0.91) | 0.78 (0.76..0.79) | 0.68 (0.65..0.72) | 0.78 (0.77..0.80) | 0.79 (0.75..0.84) |
 * | 16 | 0.84 (0.80..0.86) | 0.89 (0.86..0.91) | 0.91 (0.89..0.96) | 0.75 (0.73..0.78) | 0.89 (0.87..0.92) | 0.96 (0.89..1.02) |
 * | 20 | 0.75 (0.73..0.77) | 0.90 (0.87..0.95) | 0.92 (0.88..0.95) | 0.73 (0.72..0.78) | 0.86 (0.85..0.90) | 0.93 (0.90..1.01) |
 * | 24 | 0.85 (0.82..0.88) | 0.96 (0.93..1.02) | 1.02 (0.98..1.07) | 0.80 (0.77..0.81) | 0.92 (0.88..0.96) | 1.01 (0.97..1.03) |
 *
 * For f32, and for all block formats with `fast` at 2 to 16 rows, no other cross-over than the one above was better beyond
 * noise at every shape; nor were other blocks or fewer threads for q4_k, q8_0 and f32 at 1 to 64 rows of 256 or 1024 by
 * 256 or 1024. What else a machine gains is for its own table. Arm was not measured.
 */
const MEASURED: Readonly<Partial<Record<string, Readonly<Record<string, number>>>>> = {
  avx512: { 'gemvRows.f16': 20, 'gemvRows.bf16': 20 },
};

export const defaultTuning = ({ architecture }: Capabilities): CpuTuning => ({
  ...PORTABLE,
  ...MEASURED[architecture],
});

/** What a launch tells its kernel; 0 leaves each to the kernel. */
export interface CpuLaunchSizes {
  readonly threads: number;
  readonly block_rows: number;
  readonly block_columns: number;
  readonly block_depth: number;
}

/** Threads and blocks of a problem's launches. Threads only grow as the problem does; blocks do not depend on its size. */
export function launchSizes(
  problem: MatmulProblem,
  kernel: string,
  { computeUnits }: Capabilities,
  tuning: TuningEntry,
): CpuLaunchSizes {
  const of = (name: string) => tuning[entryName(tuning, name, weightsOf(problem))] ?? 0;
  const blocks = { gemm: 'gemm', quant_gemm: 'quantGemm' }[kernel];
  const most = Math.min(of('threads') || computeUnits, computeUnits);
  const each = 1024 * of('threadWork');
  const work = problem.batch.reduce(
    (x, y) => x * y,
    problem.m * problem.n * problem.k * (problem.gate === null ? 1 : 2),
  );
  const threads = each === 0 ? most : Math.min(Math.max(1, Math.floor(work / each)), most);
  return {
    threads: threads === computeUnits ? 0 : threads,
    block_rows: blocks === undefined ? 0 : of(`${blocks}Tiles`),
    block_columns: blocks === undefined ? 0 : of(`${blocks}Columns`),
    block_depth: blocks === undefined ? 0 : of(`${blocks}Depth`),
  };
}
