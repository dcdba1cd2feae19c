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
 * Measured on two cores of an AMD EPYC (Zen 4) at 4096 x 8192, medians of 7, in ms, streamed / packed:
 *
 * | rows | f32 avx512 | f32 avx2 | q4_k exact avx512 | q4_k exact avx2 | q4_k fast avx512 | q4_k fast avx2 |
 * | --- | --- | --- | --- | --- | --- | --- |
 * | 4 | 8.0 / 10.6 | 5.9 / 17.4 | 4.2 / 6.4 | 5.3 / 18.5 | 1.3 / 1.7 | 1.8 / 2.3 |
 * | 8 | 6.5 / 10.2 | 9.9 / 10.8 | 7.5 / 7.9 | 7.9 / 5.5 | 1.8 / 2.4 | 2.4 / 2.7 |
 * | 12 | 10.5 / 9.8 | 15.2 / 21.8 | 11.7 / 7.6 | 13.2 / 15.5 | 2.3 / 2.4 | 3.1 / 3.9 |
 * | 16 | 12.8 / 9.7 | 21.3 / 12.1 | 14.9 / 7.7 | 16.1 / 8.5 | 2.7 / 3.1 | 3.9 / 4.2 |
 *
 * The instruction sets agree within the noise, so one entry serves them all; Arm was not measured.
 */
export const TUNING: CpuTuning = {
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
