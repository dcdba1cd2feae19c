import type { LaunchGeometry } from '../declare.ts';
import { formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import {
  HIP_MATMUL_BUFFERS,
  HIP_MATMUL_PARAMS,
  type HipMatmulParams,
  hipMatmulExtents,
  hipQ8A,
  Q8_BLOCK,
  Q8_BLOCK_BYTES,
  q8Bytes,
} from './matmul.ts';

export const HIP_GEMV_CONSTANTS = [
  'b_dtype',
  /** Rows of a that one pass over the weights multiplies, and rows of weights (tiles: gate's too) of a wave: an instance. */
  'columns',
  'rows',
  /** 1: with a second matrix, whose sums go through the activation and multiply those of the first. */
  'gate',
  /** Lanes of a wave on the device. */
  'wave',
] as const;
export type HipGemvConstants = Readonly<Record<(typeof HIP_GEMV_CONSTANTS)[number], number>>;

/**
 * [columns, rows] of the instances: AMD's code objects have the first of each number of columns, NVIDIA's the last, and
 * [1, 1], as [1, 2] is without a gate only. More rows share the activations' loads and records; on AMD GPUs their registers
 * would cost more waves than that saves.
 */
export const HIP_GEMV_SHAPES = [
  [1, 1],
  [2, 1],
  [4, 1],
  [8, 1],
  [1, 2],
  [2, 2],
  [4, 4],
  [8, 16],
] as const;

/** Rows of weights of the instances that multiply by matrix instructions: `hip/common/gemv_tile.h`. */
const TILE_ROWS = 16;
const isTile = (rows: number): boolean => rows === TILE_ROWS;
/** Rows of results of a wave: with a gate, half of a tile's rows are the gate's. */
export const hipGemvOutputs = ({ rows, gate }: Pick<HipGemvConstants, 'rows' | 'gate'>): number =>
  isTile(rows) && gate !== 0 ? rows / 2 : rows;
/** LDS that every driver gives to a workgroup. */
const MAX_LDS = 48 * 1024;

/** LDS of a workgroup of `waves`: partial sums of waves that share outputs, or the tiles' steps. */
export function hipGemvLds(c: HipGemvConstants, waves: number, split: boolean): number {
  if (!isTile(c.rows)) return Math.max(16, split ? waves * c.rows * c.columns * (1 + c.gate) * 4 : 0);
  const { blockSize, blockBytes } = formatOfId(c.b_dtype);
  const step = (Q8_BLOCK / blockSize) * blockBytes;
  const chunks = Math.floor((step + 31 - hipBlockAlignment(c.b_dtype)) / 16);
  return waves * 2 * (c.columns * Q8_BLOCK_BYTES + c.rows * 16 * (chunks | 1));
}
/** Most waves of a workgroup, a power of two. */
export function hipGemvWaves(c: HipGemvConstants): number {
  let waves = maxWaves(c.wave);
  while (waves > 1 && hipGemvLds(c, waves, true) > MAX_LDS) waves /= 2;
  return waves;
}

/** Formats of which eight rows of a by matrix instructions take less than four by dot products, on an H200. */
const FAST_TILES: readonly string[] = ['q2_k', 'q3_k', 'iq4_nl'];

/**
 * Columns of the instance for m rows of a: the narrowest that takes all in one pass, else the widest, but for few rows
 * that a wider one does faster.
 */
export function hipGemvColumns(architecture: string, format: number, m: number): number {
  const columns = HIP_GEMV_SHAPES.map(([width]) => width);
  const widest = Math.max(...columns);
  if (m > 2 && architecture.startsWith('sm_') && FAST_TILES.includes(formatOfId(format).name)) return widest;
  return columns.find((width) => width >= m) ?? widest;
}
/**
 * Rows of the instance to take on an architecture (`gfx906`, `sm_90`): measured on an H200, counted for AMD GPUs. `outputs`
 * are rows of weights of all batches, per compute unit.
 */
export function hipGemvRows(architecture: string, columns: number, gate: number, outputs: number): number {
  if (!architecture.startsWith('sm_')) return 1;
  // Two rows share what is loaded of the activations, as a row and its gate's do, but are half as many waves.
  if (columns === 1) return gate === 0 && outputs >= 24 ? 2 : 1;
  return columns === 8 ? TILE_ROWS : columns;
}

/** Most waves of a workgroup: 256 threads. */
export const maxWaves = (wave: number): number => 256 / wave;

/** What block addresses are multiples of, which the loads of a format rely on: see hip/formats. */
export function hipBlockAlignment(format: number): number {
  const { blockBytes } = formatOfId(format);
  return Math.min(16, blockBytes & -blockBytes);
}

/** Weights between the two runs of a part (hip/formats): the order in which the format wants its activations. */
export function stepOfFormat(format: number): number {
  const { name, blockSize } = formatOfId(format);
  if (blockSize === 32 || name === 'iq4_xs' || name === 'q8_k') return 16;
  return name === 'q6_k' ? 64 : 32;
}

/** The order of an instance (hip/common/q8.h): its format's, but NVIDIA's lanes take four runs of some at one column. */
export function hipGemvOrder(architecture: string, format: number, columns: number): number {
  const { name } = formatOfId(format);
  const fourRuns = architecture.startsWith('sm_') && columns === 1 && (name === 'q2_k' || name === 'q3_k');
  return fourRuns ? 33 : stepOfFormat(format);
}

function refuse(p: HipMatmulParams, c: HipGemvConstants): string | null {
  if (!isFormatId(c.b_dtype) || p.b_dtype !== c.b_dtype)
    return 'b is not of the block-quantized format of the instance';
  const { blockSize, name } = formatOfId(c.b_dtype);
  if (p.k % blockSize !== 0) return 'k is not a whole number of blocks';
  if (p.k > MAX_INT || p.n > MAX_INT) return 'n and k are counted in 31 bits';
  if (q8Bytes(c.columns, p.k, c.columns) > 2 ** 32) {
    return `k is too long for ${c.columns} rows: places in their codes are counted in 32 bits`;
  }
  const exists = HIP_GEMV_SHAPES.some(([columns, rows]) => columns === c.columns && rows === c.rows);
  if (!exists || (c.gate !== 0 && c.columns < c.rows && !isTile(c.rows))) {
    return `there is no instance of ${c.rows} rows by ${c.columns} columns`;
  }
  const waves = p.groups << p.split_shift;
  if (p.groups < 1 || waves > hipGemvWaves(c)) return `${waves} waves are no workgroup`;
  const unit = hipBlockAlignment(c.b_dtype);
  const strides = [p.b_stride[0]!, ...p.b_batch, ...(c.gate === 0 ? [] : [p.gate_stride[0]!, ...p.gate_batch])];
  if (strides.some((stride) => stride % unit !== 0)) return `rows of ${name} start at multiples of ${unit} bytes`;
  return null;
}

export const hipGemv = declareHipKernel({
  id: 513,
  name: 'hip_gemv',
  doc:
    'Block-quantized weights times up to 8 rows of 8-bit activations by integer dot products or, of 8 rows on NVIDIA ' +
    'GPUs, matrix instructions: a wave streams rows of weights once, sums stay in registers; bias, gate with activation and residual fused for any number of rows.',
  source: 'gemv.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  entry: (c) => `gemv_${formatOfId(c.b_dtype).name}_c${c.columns}_r${c.rows}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  constants: HIP_GEMV_CONSTANTS,
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p, c) => ({ ...hipMatmulExtents(p), a: hipQ8A(p, c.columns) }),
  geometry: (p, c): LaunchGeometry => ({
    threadgroups: [ceilDiv(p.n, hipGemvOutputs(c) * p.groups), ceilDiv(p.m, c.columns), product(p.batch)],
    threads: [(p.groups << p.split_shift) * c.wave, 1, 1],
    threadgroupBytes: [hipGemvLds(c, p.groups << p.split_shift, p.split_shift > 0)],
  }),
  refuse,
});
