import type { Capabilities } from '../../device/backend.ts';
import { GEMM_TILES, GEMV_SHAPES, MAX_SIMDGROUPS } from '../../kernels/metal/matmul.ts';
import { QuantFormat } from '../../tensor/quant-format.ts';
import { perFormat, type TuningEntry, type TuningLimits } from '../tuning.ts';

/** The policy of the Metal back end. */
export interface MetalTuning extends TuningEntry {
  /** Rows up to which the first two tiles of `metal_gemm` (8 and 16 rows) are taken: 8 rows each pass, then 16. */
  readonly skinnyRows: number;
  /** Threadgroups per core that a tile has to leave; with fewer a smaller tile is taken. */
  readonly groupsPerCore: number;
  /** Simdgroups per core that hide the latency of memory: GEMV splits k until there are as many. */
  readonly simdgroupsPerCore: number;
  /** Simdgroups of a GEMV threadgroup that does not split k. */
  readonly gemvSimdgroups: number;
  /** Smallest share of k that a simdgroup is given when k is split. */
  readonly splitK: number;
  /** 1 + place of the tile that every `metal_gemm` uses, for sweeps; 0 leaves it to the rules. */
  readonly tile: number;
}

const MOST_COLUMNS = GEMV_SHAPES.at(-1)![1];

const formats = QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name]));

export const LIMITS: TuningLimits = {
  ...perFormat({ gemvRows: [1, 64] }, ['f32', 'f16', 'bf16']),
  ...perFormat({ exactGemvRows: [1, 64], quantGemvRows: [1, 64] }, formats),
  skinnyRows: [0, 64],
  groupsPerCore: [1, 64],
  simdgroupsPerCore: [1, 96],
  gemvSimdgroups: [1, MAX_SIMDGROUPS],
  splitK: [32, 2 ** 20],
  tile: [0, GEMM_TILES.length],
};

/**
 * Starting points from what others published of their own kernels on these chips; nothing here was measured with ours.
 *
 * - Up to 8 rows ggml streams weights on every chip. MLX changes from streaming to tiles, for quantized weights, at 6 to
 *   14 rows on the M1 and M2, and at 13 to 15 on the M3 and M4.
 * - About 24 simdgroups keep a core's arithmetic busy (metal-benchmarks, M1 and M2).
 */
const PORTABLE: MetalTuning = {
  gemvRows: 8,
  exactGemvRows: 8,
  quantGemvRows: 8,
  skinnyRows: 32,
  groupsPerCore: 2,
  simdgroupsPerCore: 24,
  gemvSimdgroups: 2,
  splitK: 512,
  tile: 0,
};

/** By `Capabilities.architecture`: apple7 is the M1's generation, apple8 the M2's, apple9 the M3's and M4's. */
const FAMILIES: Readonly<Partial<Record<string, Readonly<Record<string, number>>>>> = {
  apple9: { exactGemvRows: 12, quantGemvRows: 12 },
};

/** Without simdgroup_matrix tiles multiply no faster than lanes do: weights are streamed as long as one pass serves. */
const WITHOUT_MATRIX = {
  gemvRows: MOST_COLUMNS,
  exactGemvRows: MOST_COLUMNS,
  quantGemvRows: MOST_COLUMNS,
};

export const defaultTuning = ({ architecture, simdgroupMatrix }: Capabilities): MetalTuning => ({
  ...PORTABLE,
  ...FAMILIES[architecture],
  ...(simdgroupMatrix === true ? {} : WITHOUT_MATRIX),
});

/** GPU cores, where the system does not tell: those of the smallest chips. */
const ASSUMED_CORES = 8;
export const coresOf = ({ computeUnits }: Capabilities): number => (computeUnits > 0 ? computeUnits : ASSUMED_CORES);
