import type { Capabilities } from '../../device/backend.ts';
import { HIP_GEMV_SHAPES } from '../../kernels/hip/gemv.ts';
import { QuantFormat } from '../../tensor/quant-format.ts';
import { entryName, perFormat, type TuningEntry, type TuningLimits } from '../tuning.ts';

/**
 * The policy of the HIP back end: numbers for all formats, and beside them numbers for one format, or for one format and
 * the columns of an instance (rows of `a` that one pass serves). The most specific one counts: `gemvWaves.q4_k.c1`,
 * then `gemvWaves.q4_k`, then `gemvWaves`.
 */
export interface HipTuning extends TuningEntry {
  /** Waves of a GEMV workgroup. */
  readonly gemvWaves: number;
  /** Waves per compute unit that hide the latency of memory: GEMV splits k until there are as many. */
  readonly wavesPerUnit: number;
  /** Smallest share of k that a wave is given when k is split. */
  readonly splitK: number;
  /** Workgroups of a GEMM per compute unit: where tiles give fewer, they share k. */
  readonly gemmGroups: number;
  /** Smallest share of k that a workgroup of a GEMM is given. */
  readonly gemmSplitK: number;
  /** Rows for each expert up to which its pairs are grouped on the device. */
  readonly expertRows: number;
  /** Working space for weights that are decoded to f32 for a GEMM with `exact`. */
  readonly exactPanelMiB: number;
}

/** Entries that may be given per format and columns. */
const BY_COLUMNS = ['gemvWaves', 'wavesPerUnit', 'splitK'] as const;

const PLAIN = { gemvRows: [1, 64] } as const satisfies TuningLimits;
const QUANTIZED = {
  exactGemvRows: [1, 64],
  quantGemvRows: [1, 64],
  expertRows: [1, 64],
  gemvWaves: [1, 8],
  wavesPerUnit: [1, 1024],
  splitK: [256, 2 ** 20],
  gemmGroups: [1, 64],
  gemmSplitK: [128, 2 ** 20],
  exactPanelMiB: [1, 65536],
} as const satisfies TuningLimits;

const COLUMNS = [...new Set(HIP_GEMV_SHAPES.map(([columns]) => columns))];
const formats = QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name]));

export const LIMITS: TuningLimits = {
  ...perFormat(PLAIN, ['f32', 'f16', 'bf16']),
  ...perFormat(QUANTIZED, formats),
  ...Object.fromEntries(
    formats.flatMap((format) =>
      COLUMNS.flatMap((columns) => BY_COLUMNS.map((name) => [`${name}.${format}.c${columns}`, QUANTIZED[name]])),
    ),
  ),
};

/** For chips that nobody measured: all rows of one pass, and enough waves to hide memory on any of them. */
const PORTABLE: HipTuning = {
  gemvRows: 8,
  exactGemvRows: 8,
  quantGemvRows: 8,
  expertRows: 8,
  gemvWaves: 4,
  wavesPerUnit: 8,
  splitK: 512,
  gemmGroups: 2,
  gemmSplitK: 512,
  exactPanelMiB: 64,
};

/** Entries of formats at some number of columns. */
const at = (
  columns: number,
  names: readonly string[],
  entries: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    names.flatMap((name) => Object.entries(entries).map(([key, value]) => [`${key}.${name}.c${columns}`, value])),
  );

/** What was measured, by `Capabilities.architecture`. */
const MEASURED: Readonly<Partial<Record<string, Readonly<Record<string, number>>>>> = {
  // H200, 4096 by 4096, 14336 by 4096 and 28672 by 8192: within 10 % of the best geometry of each format. One row, two
  // rows of weights per wave: k is shared until every unit has 32 waves, or more of formats that take more bytes. Tiles (8
  // columns) want small workgroups and share k until every unit has 24 waves, those of 8-bit weights only six. Up to 16
  // rows two passes of them take 0.7 to 0.97 of the time of the GEMM (Q4_0, Q8_0, Q4_K, Q6_K).
  sm_90: {
    ...{ gemvWaves: 4, wavesPerUnit: 512, splitK: 4096, quantGemvRows: 16 },
    ...at(1, formats, { wavesPerUnit: 32, splitK: 2048 }),
    ...at(1, ['q6_k', 'q8_0', 'q8_k'], { wavesPerUnit: 128 }),
    ...at(8, formats, { gemvWaves: 1, wavesPerUnit: 24, splitK: 512 }),
    ...at(8, ['q8_0', 'q8_k'], { wavesPerUnit: 6 }),
  },
};

export const defaultTuning = ({ architecture }: Capabilities): HipTuning => ({
  ...PORTABLE,
  ...MEASURED[architecture],
});

/** The entry that counts for a format, and for the columns of an instance. */
export function entry(
  tuning: TuningEntry,
  name: 'expertRows' | 'gemmGroups' | 'gemmSplitK' | (typeof BY_COLUMNS)[number],
  format: string,
  columns?: number,
): number {
  return tuning[entryName(tuning, name, format, ...(columns === undefined ? [] : [`c${columns}`]))]!;
}
