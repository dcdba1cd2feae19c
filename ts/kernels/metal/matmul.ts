import type { BufferUse, LaunchGeometry } from '../declare.ts';
import { denseExtents, MATMUL_BUFFERS, MATMUL_CONSTANTS, MATMUL_PARAMS, type MatmulParams } from '../matmul.ts';
import { ACTIVATIONS, dtypeIdBytes, formatOfId, isFormatId } from '../types.ts';
import { type Alignment, ceilDiv, declareMetalKernel, MAX_INT, product, SIMD } from './declare.ts';
import { blockAlignment, typeName } from './weights.ts';

/** The buffers of the CPU's matmul; those of affine weights are bound for `metal_gemv_affine` and plug-ins alone. */
export const METAL_MATMUL_BUFFERS = MATMUL_BUFFERS satisfies Record<string, BufferUse>;

export const METAL_MATMUL_CONSTANTS = [
  ...MATMUL_CONSTANTS,
  'has_bias',
  'has_residual',
  'has_gate',
  'has_gate_bias',
  /** `a` may be read in vectors of four along k, see {@link vectorAccess}. */
  'a_vector',
  /** Weights may be read in their format's widest loads, see {@link vectorAccess}. */
  'b_vector',
  /** GEMV: simdgroups that share the work of one group of outputs along k, and simdgroups of a threadgroup. */
  'split',
  'simdgroups',
  /** GEMV: outputs along n and m that one simdgroup computes. */
  'rows',
  'columns',
  /** GEMM: an entry of {@link GEMM_TILES}, and the type of its tiles. */
  'tile',
  'tile_dtype',
  /** GEMM: m, n and k are whole numbers of tiles, so nothing has to be checked. */
  'whole',
  /** Affine weights: which of their entries there are. */
  'has_scale',
  'has_zero',
  'has_offset',
  'has_gate_scale',
  'has_gate_zero',
  'has_gate_offset',
] as const;
export type MetalMatmulConstants = Readonly<Record<(typeof METAL_MATMUL_CONSTANTS)[number], number>>;

/** Values of `a_vector` and `b_vector`; 0 when the operand has to be read one element, or one byte, at a time. */
export const VECTORS_ALONG_K = 1;
export const VECTORS_ALONG_ROWS = 2;

/** Byte offsets at which the buffers are bound: they count for alignment. */
export type MatmulOffsets = Partial<Record<keyof typeof METAL_MATMUL_BUFFERS, number>>;

const aligned = (values: readonly number[], unit: number) => values.every((value) => value % unit === 0);
/** Strides of dimensions that have more than one entry: the others are never used. */
const used = (sizes: readonly number[], strides: readonly number[]) => strides.filter((_, i) => (sizes[i] ?? 0) > 1);

/**
 * Which operands allow vector loads: decided here from strides and offsets and passed as function constants, so that
 * the shaders hold a scalar path and no checks. Dense weights may be contiguous along k or along n.
 */
export function vectorAccess(
  p: MatmulParams,
  c: Pick<MetalMatmulConstants, 'a_dtype' | 'b_dtype' | 'has_gate'>,
  offsets: MatmulOffsets = {},
): Pick<MetalMatmulConstants, 'a_vector' | 'b_vector'> {
  /** Rows of `length` elements side by side, `rows` of them, that start where vectors of four may. */
  const vectors = (dtype: number, length: number, rows: number, stride: number, batch: readonly number[], at: number) =>
    length % 4 === 0 &&
    at % (4 * dtypeIdBytes(dtype)) === 0 &&
    aligned(used([rows, ...p.batch], [stride, ...batch]), 4);
  const dense = (dtype: number, rows: number, [row, k]: readonly number[], batch: readonly number[], at = 0) => {
    if (k === 1 && vectors(dtype, p.k, rows, row!, batch, at)) return VECTORS_ALONG_K;
    if (row === 1 && k !== 1 && vectors(dtype, rows, p.k, k!, batch, at)) return VECTORS_ALONG_ROWS;
    return 0;
  };
  const weights = (stride: readonly number[], batch: readonly number[], at = 0) => {
    if (isFormatId(c.b_dtype)) {
      const unit = blockAlignment(c.b_dtype);
      return at % unit === 0 && aligned(used([p.n, ...p.batch], [stride[0]!, ...batch]), unit) ? VECTORS_ALONG_K : 0;
    }
    return dense(c.b_dtype, p.n, stride, batch, at);
  };
  const b = weights(p.b_stride, p.b_batch, offsets.b);
  const same = c.has_gate === 0 || weights(p.gate_stride, p.gate_batch, offsets.gate) === b;
  const a = dense(c.a_dtype, p.m, p.a_stride, p.a_batch, offsets.a);
  return { a_vector: a, b_vector: same ? b : 0 };
}

/** Vector loads need offsets that {@link vectorAccess} was told, and nothing else needs more than whole elements. */
function alignment(_: MatmulParams, c: MetalMatmulConstants): Alignment<typeof METAL_MATMUL_BUFFERS> {
  const elements = (dtype: number, vector = 0) => dtypeIdBytes(dtype) * (vector === 0 ? 1 : 4);
  const blocks = isFormatId(c.b_dtype);
  const weights = blocks ? (c.b_vector === 0 ? 1 : blockAlignment(c.b_dtype)) : elements(c.b_dtype, c.b_vector);
  const bias = elements(c.bias_dtype);
  return {
    ...{ a: elements(c.a_dtype, c.a_vector), b: weights, gate: weights, out: elements(c.out_dtype) },
    ...{ residual: elements(c.residual_dtype), bias, gate_bias: bias },
    ...{ scale: 4, zero: 4, offset: 4, gate_scale: 4, gate_zero: 4, gate_offset: 4 },
  };
}

const FLOAT_IDS = [0, 1, 2] as const;
const choices = {
  ...{ out_dtype: FLOAT_IDS, residual_dtype: FLOAT_IDS, bias_dtype: FLOAT_IDS, whole: [0, 1] },
  activation: Object.values(ACTIVATIONS),
};

const refuseSizes = ({ m, n, k }: MatmulParams) =>
  Math.max(m, n, k) > MAX_INT ? 'm, n and k are counted in 32 bits' : null;

/** What the kernels for plain floats and blocks cannot do. */
function refuseCommon(p: MatmulParams, c: MetalMatmulConstants): string | null {
  const sizes = refuseSizes(p);
  if (sizes !== null) return sizes;
  if (c.has_scale || c.has_zero || c.has_offset) return 'affine weights are for metal_gemv_affine';
  if (c.a_dtype > 2) return 'a is f32, f16 or bf16';
  if (!isFormatId(c.b_dtype) && c.b_dtype > 2) return 'dense weights are f32, f16 or bf16';
  if (isFormatId(c.b_dtype) && p.k % formatOfId(c.b_dtype).blockSize !== 0) return 'k is not a whole number of blocks';
  if (!c.a_vector && !c.b_vector) return null;
  const vectors = vectorAccess(p, c);
  if (c.a_vector && c.a_vector !== vectors.a_vector) return 'the strides of a allow no such vector loads';
  if (c.b_vector && c.b_vector !== vectors.b_vector) return 'the strides of b or gate allow no such vector loads';
  return null;
}

/** (rows, columns) of the GEMV instances: how many outputs along n and m a simdgroup computes from one pass over k. */
export const GEMV_SHAPES = [
  [4, 1],
  [4, 2],
  [2, 4],
  [2, 8],
  [2, 16],
] as const;
export const MAX_SIMDGROUPS = 32;

export const gemv = declareMetalKernel({
  id: 256,
  name: 'metal_gemv',
  doc:
    'Few rows of a: each simdgroup streams `rows` rows of weights once for `columns` rows of a; dense weights of any ' +
    'strides (fast when contiguous along k) and every block-quantized format; k split over simdgroups for few outputs.',
  source: 'gemv.metal',
  entry: (c) => `gemv_${typeName(c.b_dtype)}_r${c.rows}_c${c.columns}`,
  buffers: METAL_MATMUL_BUFFERS,
  constants: METAL_MATMUL_CONSTANTS,
  paramsName: 'matmul',
  params: MATMUL_PARAMS,
  extents: denseExtents,
  alignment,
  choices,
  geometry: (p, c): LaunchGeometry => ({
    threadgroups: [ceilDiv(p.n, c.rows * (c.simdgroups / c.split)), ceilDiv(p.m, c.columns), product(p.batch)],
    threads: [SIMD * c.simdgroups, 1, 1],
    // Partial sums of the simdgroups that share outputs.
    threadgroupBytes: [Math.max(16, c.split > 1 ? c.simdgroups * c.rows * c.columns * 4 : 0)],
  }),
  refuse: (p, c) => {
    if (c.simdgroups < 1 || c.simdgroups > MAX_SIMDGROUPS || c.simdgroups % c.split !== 0) {
      return `${c.simdgroups} simdgroups cannot be split by ${c.split}`;
    }
    if (!GEMV_SHAPES.some(([rows, columns]) => rows === c.rows && columns === c.columns)) {
      return `there is no instance of ${c.rows} rows by ${c.columns} columns`;
    }
    if (c.b_vector === VECTORS_ALONG_ROWS) return 'weights that are contiguous along n are for metal_gemv_t';
    return refuseCommon(p, c);
  },
});

/** Rows of a that one pass of `metal_gemv_t` multiplies. */
export const GEMV_T_COLUMNS = [1, 2, 4, 8] as const;

export const gemvT = declareMetalKernel({
  id: 257,
  name: 'metal_gemv_t',
  doc:
    'Few rows of a against plain weights that are contiguous along n: lanes own outputs, the simdgroups of a ' +
    'threadgroup share k. Any strides are right; contiguous along n is fast.',
  source: 'gemv_t.metal',
  entry: (c) => `gemv_t_c${c.columns}`,
  buffers: METAL_MATMUL_BUFFERS,
  constants: METAL_MATMUL_CONSTANTS,
  paramsName: 'matmul',
  params: MATMUL_PARAMS,
  extents: denseExtents,
  alignment,
  choices,
  geometry: (p, c): LaunchGeometry => {
    const perLane = c.b_vector === 0 ? 1 : 4;
    return {
      threadgroups: [ceilDiv(p.n, SIMD * perLane), ceilDiv(p.m, c.columns), product(p.batch)],
      threads: [SIMD * c.simdgroups, 1, 1],
      threadgroupBytes: [c.simdgroups * SIMD * perLane * 4],
    };
  },
  refuse: (p, c) => {
    if (c.simdgroups < 1 || c.simdgroups > MAX_SIMDGROUPS) return `${c.simdgroups} simdgroups are no threadgroup`;
    if (!GEMV_T_COLUMNS.some((columns) => columns === c.columns)) return `there is no instance of ${c.columns} columns`;
    if (isFormatId(c.b_dtype)) return 'rows of blocks are contiguous along k';
    if (c.b_vector === VECTORS_ALONG_K) return 'weights that are contiguous along k are for metal_gemv';
    return refuseCommon(p, c);
  },
});

/** Rows of a that one pass of `metal_gemv_affine` multiplies. */
export const AFFINE_COLUMNS = [1, 4] as const;

export const gemvAffine = declareMetalKernel({
  id: 264,
  name: 'metal_gemv_affine',
  doc:
    'Plain weights of any dtype and strides, integers too, times a of any dtype; affine weights are ' +
    'scale * (q - zero) + offset, with entries per row and group of k. One output row per simdgroup, element by element.',
  source: 'gemv_affine.metal',
  entry: (c) => `gemv_affine_c${c.columns}`,
  buffers: METAL_MATMUL_BUFFERS,
  constants: METAL_MATMUL_CONSTANTS,
  paramsName: 'matmul',
  params: MATMUL_PARAMS,
  extents: denseExtents,
  geometry: (p, c): LaunchGeometry => ({
    threadgroups: [ceilDiv(p.n, c.simdgroups), ceilDiv(p.m, c.columns), product(p.batch)],
    threads: [SIMD * c.simdgroups, 1, 1],
  }),
  refuse: (p, c) => {
    if (c.simdgroups < 1 || c.simdgroups > MAX_SIMDGROUPS) return `${c.simdgroups} simdgroups are no threadgroup`;
    if (!AFFINE_COLUMNS.some((columns) => columns === c.columns)) return `there is no instance of ${c.columns} columns`;
    if (isFormatId(c.b_dtype)) return 'blocks carry their own scales';
    if (c.a_vector || c.b_vector) return 'elements are read one at a time';
    if ((c.has_scale || c.has_zero || c.has_offset) && p.group < 1) return 'affine weights have groups';
    return refuseSizes(p);
  },
  alignment,
  choices,
});

/** m, n and k of a tile, and how many simdgroups share it along m and n. */
export interface Tile {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly wm: number;
  readonly wn: number;
}
const tile = (m: number, n: number, k: number, wm: number, wn: number): Tile => ({ m, n, k, wm, wn });

/** The instances of `metal_gemm`; `tile` is a place in this list. The first two are for batches of up to 16 rows. */
export const GEMM_TILES: readonly Tile[] = [
  tile(8, 64, 32, 1, 2),
  tile(16, 64, 32, 1, 2),
  tile(64, 32, 32, 2, 2),
  tile(32, 32, 16, 2, 2),
  tile(32, 64, 16, 1, 2),
  tile(64, 64, 16, 2, 2),
  tile(64, 64, 16, 1, 2),
  tile(64, 32, 8, 4, 1),
  // Large enough that exact tiles move no more bytes per multiplication than 64 by 32 of f16 do.
  tile(128, 64, 16, 2, 2),
];
/** Quantized weights have the first tiles, and the largest in f32. */
export const QUANT_TILES = 3;
export const LARGEST_TILE = 8;

/** Whether `metal_gemm` has an instance of a tile, of f32 (0) or f16 (1), for such weights. */
export const hasTile = (index: number, quantized: boolean, dtype: number): boolean =>
  index < (quantized ? QUANT_TILES : GEMM_TILES.length) || (index === LARGEST_TILE && dtype === 0);

/** Whether all of a problem's tiles are whole. */
export const wholeTiles = (p: MatmulParams, t: Omit<Tile, 'wm' | 'wn'>): boolean =>
  p.m % t.m === 0 && p.n % t.n === 0 && p.k % t.k === 0;

export const gemm = declareMetalKernel({
  id: 258,
  name: 'metal_gemm',
  doc:
    'Tiled GEMM on simdgroup_matrix, f32 sums; dense operands of any strides, block-quantized weights decoded to the ' +
    'tile. Tiles of f32 are exact; tiles of f16 round operands to 11 bits, and overflow beyond 65504.',
  source: 'gemm.metal',
  entry: (c) => {
    const { m, n, k, wm, wn } = GEMM_TILES[c.tile]!;
    const type = isFormatId(c.b_dtype) ? typeName(c.b_dtype) : 'dense';
    return `gemm_${type}_${typeName(c.tile_dtype)}_${m}x${n}x${k}_${wm}x${wn}`;
  },
  buffers: METAL_MATMUL_BUFFERS,
  constants: METAL_MATMUL_CONSTANTS,
  paramsName: 'matmul',
  params: MATMUL_PARAMS,
  extents: denseExtents,
  alignment,
  choices,
  geometry: (p, c): LaunchGeometry => {
    const t = GEMM_TILES[c.tile]!;
    const tiles = (t.m + t.n) * t.k * dtypeIdBytes(c.tile_dtype);
    // At the end each simdgroup lays out eight rows of its sums, and of its gate's.
    const strips = t.wm * 8 * t.n * 4 * (c.has_gate === 0 ? 1 : 2);
    return {
      threadgroups: [ceilDiv(p.n, t.n), ceilDiv(p.m, t.m), product(p.batch)],
      threads: [SIMD * t.wm * t.wn, 1, 1],
      threadgroupBytes: [Math.max(tiles, strips)],
    };
  },
  refuse: (p, c) => {
    if (c.tile_dtype > 1) return 'tiles are f32 or f16';
    if (!hasTile(c.tile, isFormatId(c.b_dtype), c.tile_dtype)) return `there is no tile ${c.tile} for these weights`;
    if (c.whole !== 0 && !wholeTiles(p, GEMM_TILES[c.tile]!)) return 'the tiles are not whole';
    return refuseCommon(p, c);
  },
});

/** The instances of `metal_gemm_threads`: each thread has 4 by 4 outputs. */
export const THREAD_TILES: readonly Omit<Tile, 'wm' | 'wn'>[] = [
  { m: 16, n: 64, k: 32 },
  { m: 64, n: 64, k: 16 },
];

export const gemmThreads = declareMetalKernel({
  id: 259,
  name: 'metal_gemm_threads',
  doc:
    'Tiled GEMM without simdgroup_matrix, for devices that lack it: f32 tiles in threadgroup memory, 4 by 4 outputs ' +
    'per thread; the same operands as metal_gemm.',
  source: 'gemm_threads.metal',
  entry: (c) => {
    const { m, n, k } = THREAD_TILES[c.tile]!;
    return `gemm_threads_${isFormatId(c.b_dtype) ? typeName(c.b_dtype) : 'dense'}_${m}x${n}x${k}`;
  },
  buffers: METAL_MATMUL_BUFFERS,
  constants: METAL_MATMUL_CONSTANTS,
  paramsName: 'matmul',
  params: MATMUL_PARAMS,
  extents: denseExtents,
  alignment,
  choices,
  geometry: (p, c): LaunchGeometry => {
    const t = THREAD_TILES[c.tile]!;
    return {
      threadgroups: [ceilDiv(p.n, t.n), ceilDiv(p.m, t.m), product(p.batch)],
      threads: [(t.m * t.n) / 16, 1, 1],
      threadgroupBytes: [(t.m + t.n) * (t.k + 1) * 4],
    };
  },
  refuse: (p, c) => {
    const t = THREAD_TILES[c.tile];
    if (t === undefined) return `there is no tile ${c.tile}`;
    if (c.whole !== 0 && !wholeTiles(p, t)) return 'the tiles are not whole';
    return refuseCommon(p, c);
  },
});
