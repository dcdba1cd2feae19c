import type { Capabilities } from '../../device/backend.ts';
import { GEMM_TILES, GEMV_SHAPES, MAX_SIMDGROUPS } from '../../kernels/metal/matmul.ts';
import { QuantFormat } from '../../tensor/quant-format.ts';
import { perFormat, type TuningEntry, type TuningLimits } from '../tuning.ts';

/** The policy of the Metal back end. */
export interface MetalTuning extends TuningEntry {
  /** Rows up to which weights are streamed where tiles would leave half of the cores without a threadgroup. */
  readonly idleGemvRows: number;
  /** Rows up to which block-quantized weights are streamed where tiles give every core several threadgroups. */
  readonly busyGemvRows: number;
  /** Rows up to which the smallest tiles of `metal_gemm` are taken: 8 rows, 16, for plain weights 32. */
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
  idleGemvRows: [1, 64],
  busyGemvRows: [1, 64],
  skinnyRows: [0, 64],
  groupsPerCore: [1, 64],
  simdgroupsPerCore: [1, 96],
  gemvSimdgroups: [1, MAX_SIMDGROUPS],
  splitK: [32, 2 ** 20],
  tile: [0, GEMM_TILES.length],
};

/**
 * Starting points from what others published of their own kernels on these chips, and from the cost model
 * (docs/cost-model.md); nothing here was measured with ours.
 *
 * - Up to 8 rows ggml streams weights on every chip; the next step of our GEMV, to 16 columns, takes as long for 9 rows as
 *   for 16, and longer than a tile of 16 rows does.
 * - A GEMV of 8 columns asks the first cache for two bytes of activations per multiply-add, which holds it at a quarter of
 *   its arithmetic; tiles of 8 rows are 1.1 to 2 times as fast, if they are enough to keep all cores busy. With half of the
 *   cores idle they take up to four times as long.
 * - About 24 simdgroups keep a core's arithmetic busy (metal-benchmarks, M1 and M2).
 */
const PORTABLE: MetalTuning = {
  gemvRows: 8,
  exactGemvRows: 8,
  quantGemvRows: 8,
  idleGemvRows: MOST_COLUMNS,
  busyGemvRows: 4,
  skinnyRows: 32,
  groupsPerCore: 2,
  simdgroupsPerCore: 24,
  gemvSimdgroups: 2,
  splitK: 512,
  tile: 0,
};

/** Without simdgroup_matrix tiles multiply no faster than lanes do: weights are streamed as long as one pass serves. */
const WITHOUT_MATRIX = {
  gemvRows: MOST_COLUMNS,
  exactGemvRows: MOST_COLUMNS,
  quantGemvRows: MOST_COLUMNS,
};

/** GPU cores, where the system does not tell: those of the smallest chips. */
const ASSUMED_CORES = 8;
export const coresOf = ({ computeUnits }: Capabilities): number => (computeUnits > 0 ? computeUnits : ASSUMED_CORES);

export const defaultTuning = ({ simdgroupMatrix }: Capabilities): MetalTuning => ({
  ...PORTABLE,
  ...(simdgroupMatrix === true ? {} : WITHOUT_MATRIX),
});
