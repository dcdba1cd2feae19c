import { DTYPES } from '../../tensor/dtype.ts';
import type { LaunchGeometry } from '../declare.ts';
import { formatOfId, isFormatId } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import { hipBlockAlignment } from './gemv.ts';
import {
  HIP_EPILOGUE_PARAMS,
  HIP_MATMUL_BUFFERS,
  HIP_MATMUL_PARAMS,
  type HipMatmulParams,
  hipEpilogueExtents,
  hipMatmulExtents,
  hipQ8A,
} from './matmul.ts';

/** Rows of activations and of weights that a workgroup multiplies; with a gate, half of the latter are the gate's. */
export const HIP_GEMM_TILE = { m: 64, n: 128 } as const;
/** The instances of `hip_gemm_bf16`: rows of activations and of weights, fewest first. */
export const HIP_GEMM_BF16_TILES = [
  { m: 16, n: 128 },
  { m: 32, n: 128 },
  { m: 64, n: 128 },
  { m: 128, n: 128 },
] as const;
/** Workgroups that may share a tile along k. */
export const MAX_SPLITS = 64;
const THREADS = 256;
/** Workgroups along the second and third dimension of a grid. */
export const MAX_GRID = 65535;

/** Whether a target, as LLVM names it, multiplies matrices of bfloat16. */
export const hipMultipliesBF16 = (target: string): boolean => /^(sm_|gfx90a$|gfx94|gfx1[12])/.test(target);

export interface Tile {
  readonly m: number;
  readonly n: number;
}
const outputsOf = ({ n }: Tile, gate: number) => (gate === 0 ? n : n / 2);

/** Outputs of a thread of `hip_gemm_sum`. */
const SUM_COLUMNS = 4;

/** Bytes that workgroups which share tiles along k leave: what is `out` to them. */
export const hipSumBytes = (p: Pick<HipMatmulParams, 'm' | 'n' | 'splits' | 'batch'>, gate: number): number =>
  4 * p.m * p.n * (gate === 0 ? 1 : 2) * p.splits * product(p.batch);
const extents = (p: HipMatmulParams, gate: number) => ({
  ...hipMatmulExtents(p),
  ...(p.splits > 1 && { out: { from: 0, to: hipSumBytes(p, gate) } }),
});

/** Workgroups with the same weights follow each other. */
const geometry = (p: HipMatmulParams, tile: Tile, gate: number): LaunchGeometry => ({
  threadgroups: [ceilDiv(p.m, tile.m), ceilDiv(p.n, outputsOf(tile, gate)), product(p.batch) * p.splits],
  threads: [THREADS, 1, 1],
});

function refuse(p: HipMatmulParams, tile: Tile, c: { readonly b_dtype: number; readonly gate: number }): string | null {
  if (!isFormatId(c.b_dtype) || p.b_dtype !== c.b_dtype)
    return 'b is not of the block-quantized format of the instance';
  if (p.splits < 1 || p.splits > MAX_SPLITS) return `k may be shared by 1 to ${MAX_SPLITS} workgroups`;
  const { blockSize, name } = formatOfId(c.b_dtype);
  if (p.k % blockSize !== 0) return 'k is not a whole number of blocks';
  if (p.k > MAX_INT || p.m > MAX_INT) return 'm and k are counted in 31 bits';
  if (ceilDiv(p.n, tile.n / 2) > MAX_GRID || product(p.batch) * p.splits > MAX_GRID)
    return 'too many workgroups for one grid';
  const unit = hipBlockAlignment(c.b_dtype);
  const strides = [p.b_stride[0]!, ...p.b_batch, ...(c.gate === 0 ? [] : [p.gate_stride[0]!, ...p.gate_batch])];
  return strides.some((stride) => stride % unit !== 0) ? `rows of ${name} start at multiples of ${unit} bytes` : null;
}

export const hipGemm = declareHipKernel({
  id: 520,
  name: 'hip_gemm',
  doc:
    'Block-quantized weights times any number of rows of 8-bit activations (in their own order: step 0, groups of 1): ' +
    'tiles unpacked to bytes in LDS, multiplied by dot products, on CDNA 1 by matrix instructions. For targets without ' +
    'matrix instructions on bfloat16.',
  source: 'gemm.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  runsOn: (target) => !hipMultipliesBF16(target),
  entry: (c) => `gemm_${formatOfId(c.b_dtype).name}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  constants: ['b_dtype', 'gate'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p, c) => ({ ...extents(p, c.gate), a: hipQ8A(p, 1) }),
  geometry: (p, c) => geometry(p, HIP_GEMM_TILE, c.gate),
  refuse: (p, c) => refuse(p, HIP_GEMM_TILE, c),
});

const tileOf = (rows: number): Tile | undefined => HIP_GEMM_BF16_TILES.find(({ m }) => m === rows);

export const hipGemmBF16 = declareHipKernel({
  id: 516,
  name: 'hip_gemm_bf16',
  doc:
    'Block-quantized weights times any number of rows of bfloat16 activations that lie side by side, batch after batch, ' +
    'from a multiple of 16 bytes on: weights are decoded and rounded to bfloat16 in LDS and multiplied by matrix ' +
    'instructions.',
  source: 'gemm_bf16.hip',
  format: (c) => formatOfId(c.b_dtype).name,
  runsOn: hipMultipliesBF16,
  entry: (c) => `gemm_bf16_${formatOfId(c.b_dtype).name}_m${c.rows}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  constants: ['b_dtype', 'rows', 'gate'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p, c) => ({ ...extents(p, c.gate), a: { from: 0, to: 2 * p.m * p.k * product(p.batch) } }),
  geometry: (p, c) => geometry(p, tileOf(c.rows)!, c.gate),
  refuse: (p, c) => {
    const tile = tileOf(c.rows);
    if (tile === undefined) return `there is no instance of ${c.rows} rows`;
    if (p.a_dtype !== DTYPES.bf16.id) return 'activations are bfloat16';
    if (p.k >= 2 ** 24) return 'k is 2^24 or more: offsets in a tile are counted in 32 bits';
    return refuse(p, tile, c);
  },
});

/** Adds up what workgroups that share tiles along k left, and has the epilogue. */
export const hipGemmSum = declareHipKernel({
  id: 529,
  name: 'hip_gemm_sum',
  doc:
    'Sums of a GEMM whose k was split: f32, by batch entry, share and row, those of the gate behind the others of a ' +
    'row. Added in the order of the shares, so that the result is the same in every run.',
  source: 'gemm_sum.hip',
  entry: () => 'gemm_sum',
  buffers: {
    sums: { access: 'read' },
    out: { access: 'write' },
    bias: { access: 'read', optional: true },
    residual: { access: 'read', optional: true, inPlace: true },
    gate_bias: { access: 'read', optional: true },
  },
  constants: [],
  paramsName: 'hip_gemm_sum',
  params: {
    m: 'u32',
    n: 'u32',
    splits: 'u32',
    gate: 'u32',
    ...HIP_EPILOGUE_PARAMS,
    batch: 'u32[4]',
    out_batch: 'i64[4]',
    residual_batch: 'i64[4]',
  },
  extents: (p) => ({ sums: { from: 0, to: hipSumBytes(p, p.gate) }, ...hipEpilogueExtents(p) }),
  geometry: (p) => ({
    threadgroups: [ceilDiv(ceilDiv(p.n, SUM_COLUMNS), THREADS), p.m, product(p.batch)],
    threads: [THREADS, 1, 1],
  }),
  refuse: (p) => (p.m > MAX_GRID || product(p.batch) > MAX_GRID ? 'too many workgroups for one grid' : null),
});
