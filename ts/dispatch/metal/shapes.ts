// How much of a problem each threadgroup takes: tiles of the GEMMs, rows, columns and splits of the GEMVs. All of it
// only grows as the problem does.
import type { Capabilities } from '../../device/backend.ts';
import { ceilDiv, product, SIMD } from '../../kernels/metal/declare.ts';
import {
  GEMM_TILES,
  GEMV_SHAPES,
  GEMV_T_COLUMNS,
  gemm,
  gemmThreads,
  hasTile,
  LARGEST_TILE,
  MAX_SIMDGROUPS,
  THREAD_TILES,
} from '../../kernels/metal/matmul.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { MatmulProblem } from '../problem.ts';
import { coresOf, type MetalTuning } from './tuning.ts';

/**
 * Tiles hold f16 when that loses nothing (both operands are f16), or when precision is `fast`: operands are then rounded
 * to 11 bits, |error| <= 2^-10 sum|a||b| beside f32 rounding, and values beyond 65504 overflow. bf16 keeps f32 tiles, as
 * its range does not fit.
 */
export function halfTiles({ aDType, bDType, precision }: MatmulProblem): boolean {
  if (aDType === 'bf16' || bDType === 'bf16') return false;
  return precision === 'fast' || (aDType === 'f16' && bDType === 'f16');
}

interface Fitting {
  readonly index: number;
  readonly m: number;
  readonly n: number;
}

/** The tiles of `metal_gemm` (`matrix`) or `metal_gemm_threads` that a device's threadgroups can hold. */
export function fittingTiles(
  problem: MatmulProblem,
  matrix: boolean,
  { maxThreadgroupBytes, maxThreadgroupThreads }: Capabilities,
): readonly Fitting[] {
  const exists = (index: number) => !matrix || hasTile(index, problem.format !== null, halfTiles(problem) ? 1 : 0);
  const kernel = matrix ? gemm : gemmThreads;
  const form = {
    tile_dtype: DTYPES[halfTiles(problem) ? 'f16' : 'f32'].id,
    has_gate: problem.gate === null ? 0 : 1,
  };
  return (matrix ? GEMM_TILES : THREAD_TILES).flatMap(({ m, n }, index) => {
    if (!exists(index)) return [];
    // What the launch will ask for; of its arguments, the grid alone depends on more.
    const asked = kernel.geometry(problem as never, { ...form, tile: index } as never);
    const fits =
      product(asked.threads) <= (maxThreadgroupThreads ?? Number.POSITIVE_INFINITY) &&
      (asked.threadgroupBytes?.[0] ?? 0) <= (maxThreadgroupBytes ?? Number.POSITIVE_INFINITY);
    return fits ? [{ index, m, n }] : [];
  });
}

/**
 * Places in {@link GEMM_TILES}. Plain weights are large: beyond 16 rows a tile of 32 reads them once, where that of 16
 * would read them twice.
 */
const SKINNY = [0, 1, 4] as const;
const QUANT_SKINNY = [0, 1] as const;
const TALL = 2;
const SMALL = 3;
const LARGE = 5;
const LARGE_HALF = 6;

/**
 * Place of the tile: skinny ones for few rows; then the larger of two that leaves every core some threadgroups. f16
 * operands take the form of the large tile that MLX gives the smaller chips (one simdgroup per 64 rows). Exact products
 * that are large enough for it take the largest tile, whose f32 moves no more bytes per multiplication than ggml's tiles
 * of f16 (docs/kernels.md); with a gate it would need twice the registers.
 */
export function gemmTile(problem: MatmulProblem, capabilities: Capabilities, tuning: MetalTuning): number {
  const fitting = fittingTiles(problem, true, capabilities);
  const has = (index: number) => fitting.some((tile) => tile.index === index);
  const { m, n, batch, format } = problem;
  const wanted = tuning.tile - 1;
  if (wanted >= 0 && has(wanted)) return wanted;
  if (m <= tuning.skinnyRows) {
    const skinny = (format === null ? SKINNY : QUANT_SKINNY).filter(has);
    const place = skinny.find((index) => GEMM_TILES[index]!.m >= m) ?? skinny.at(-1);
    if (place !== undefined) return place;
  }
  const large = format !== null ? TALL : halfTiles(problem) ? LARGE_HALF : LARGE;
  const groups = (tile: number) => ceilDiv(m, GEMM_TILES[tile]!.m) * ceilDiv(n, GEMM_TILES[tile]!.n) * product(batch);
  const enough = (tile: number) => groups(tile) >= tuning.groupsPerCore * coresOf(capabilities);
  // With four tiles along m, at most a fifth of the rows is padding.
  const tall = m >= 4 * GEMM_TILES[LARGEST_TILE]!.m;
  const exact = !halfTiles(problem) && problem.gate === null;
  if (exact && tall && enough(LARGEST_TILE) && has(LARGEST_TILE)) return LARGEST_TILE;
  const order = format !== null ? [TALL] : enough(large) ? [large, SMALL] : [SMALL, large];
  return order.find(has) ?? fitting[0]!.index;
}

/** Place of the tile of `metal_gemm_threads`: 16 rows, or 64. */
export function threadTile(problem: MatmulProblem, capabilities: Capabilities): number {
  const fitting = fittingTiles(problem, false, capabilities);
  const wanted = problem.m <= THREAD_TILES[0]!.m ? 0 : 1;
  return (fitting.find(({ index }) => index === wanted) ?? fitting[0]!).index;
}

const powerOfTwo = (atLeast: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, atLeast)));

export interface GemvShape {
  readonly rows: number;
  readonly columns: number;
  /** Simdgroups that share outputs, each with a part of k. */
  readonly split: number;
  readonly simdgroups: number;
}

/** Most simdgroups of one threadgroup, a power of two. */
export function mostSimdgroups({ maxThreadgroupThreads = SIMD * MAX_SIMDGROUPS }: Capabilities): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, Math.min(MAX_SIMDGROUPS, Math.floor(maxThreadgroupThreads / SIMD)))));
}

/** Rows, columns and split of `metal_gemv`: k is split until the cores have simdgroups enough, or its parts are small. */
export function gemvShape(problem: MatmulProblem, capabilities: Capabilities, tuning: MetalTuning): GemvShape {
  const { m, n, k, batch } = problem;
  const [rows, columns] = GEMV_SHAPES.find(([, c]) => c >= m) ?? GEMV_SHAPES.at(-1)!;
  const most = mostSimdgroups(capabilities);
  const work = ceilDiv(n, rows) * ceilDiv(m, columns) * product(batch);
  const wanted = powerOfTwo((coresOf(capabilities) * tuning.simdgroupsPerCore) / Math.max(1, work));
  const useful = powerOfTwo(Math.max(1, Math.floor(k / tuning.splitK)) / 2 + 0.5);
  const memory = (simdgroups: number) => simdgroups * rows * columns * 4;
  let split = Math.min(wanted, useful, most);
  while (split > 1 && memory(split) > (capabilities.maxThreadgroupBytes ?? Number.POSITIVE_INFINITY)) split /= 2;
  const simdgroups = Math.max(split, Math.min(powerOfTwo(tuning.gemvSimdgroups), most));
  return { rows, columns, split, simdgroups };
}

/** Columns and simdgroups of `metal_gemv_t`, whose simdgroups all share k. */
export function gemvTShape(problem: MatmulProblem, capabilities: Capabilities, tuning: MetalTuning) {
  const { m, n, k, batch } = problem;
  const columns = GEMV_T_COLUMNS.find((c) => c >= m) ?? GEMV_T_COLUMNS.at(-1)!;
  const most = mostSimdgroups(capabilities);
  const work = ceilDiv(n, 4 * SIMD) * ceilDiv(m, columns) * product(batch);
  const wanted = powerOfTwo((coresOf(capabilities) * tuning.simdgroupsPerCore) / Math.max(1, work));
  // Each simdgroup keeps a partial sum per lane and column of four: 512 bytes, in turn for each row of a.
  const useful = powerOfTwo(Math.max(1, Math.floor(k / SIMD)));
  const memory = Math.floor((capabilities.maxThreadgroupBytes ?? 32768) / (SIMD * 4 * 4));
  const simdgroups = Math.min(
    Math.max(wanted, tuning.gemvSimdgroups),
    useful,
    most,
    2 ** Math.floor(Math.log2(memory)),
  );
  return { columns, simdgroups };
}
