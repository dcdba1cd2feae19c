// Matmuls of plain matrices: any dtypes and strides.
import { DTYPES } from '../../tensor/dtype.ts';
import type { LaunchGeometry } from '../declare.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import { HIP_GEMM_TILE } from './gemm.ts';
import { HIP_MATMUL_BUFFERS, HIP_MATMUL_PARAMS, type HipMatmulParams, hipDenseA, hipMatmulExtents } from './matmul.ts';

const THREADS = 256;
const MAX_GRID = 65535;
const FLOATS: readonly number[] = [DTYPES.f32.id, DTYPES.f16.id, DTYPES.bf16.id];

function refuseDense(p: HipMatmulParams): string | null {
  if (!FLOATS.includes(p.a_dtype) || !FLOATS.includes(p.b_dtype)) return 'plain operands are f32, f16 or bf16';
  if (p.k > MAX_INT || p.m > MAX_INT || p.n > MAX_INT) return 'm, n and k are counted in 31 bits';
  return product(p.batch) > MAX_GRID ? 'too many workgroups for one grid' : null;
}

/** What the products of `hip_gemm_dense` are of, by dtype id. */
const PRODUCTS = { [DTYPES.f32.id]: 'f32', [DTYPES.f16.id]: 'f16', [DTYPES.bf16.id]: 'bf16' } as const;

export const hipGemmDense = declareHipKernel({
  id: 521,
  name: 'hip_gemm_dense',
  doc:
    'Plain matrices of any dtypes and strides by tiles in LDS. `product` is the dtype of the factors: f32, or f16 or ' +
    'bf16, to which both sides are rounded and which matrix instructions multiply; targets without them multiply as f32.',
  source: 'gemm_dense.hip',
  entry: (c) => `gemm_dense_${PRODUCTS[c.product]}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  constants: ['product', 'gate'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p) => ({ ...hipMatmulExtents(p), a: hipDenseA(p) }),
  geometry: (p, c): LaunchGeometry => ({
    threadgroups: [
      ceilDiv(p.m, HIP_GEMM_TILE.m),
      ceilDiv(p.n, HIP_GEMM_TILE.n / (c.gate === 0 ? 1 : 2)),
      product(p.batch),
    ],
    threads: [THREADS, 1, 1],
  }),
  refuse: (p, c) => {
    if (PRODUCTS[c.product] === undefined) return 'products are of f32, f16 or bf16';
    if (ceilDiv(p.n, HIP_GEMM_TILE.n / 2) > MAX_GRID) return 'too many workgroups for one grid';
    return refuseDense(p);
  },
});

/** Which way the weights of `hip_gemv_dense` lie: k or n side by side. */
export const HIP_GEMV_ORDERS = ['rows', 'columns'] as const;
/** Rows of activations that one pass over the weights multiplies. */
export const HIP_GEMV_DENSE_COLUMNS: readonly number[] = [1, 4, 8];

export const hipGemvDense = declareHipKernel({
  id: 522,
  name: 'hip_gemv_dense',
  doc:
    'Plain weights times a few rows of activations, products and sums in f32: `rows` for weights that are dense along k, ' +
    '`columns` for those that are dense along n; both take any strides.',
  source: 'gemv_dense.hip',
  entry: (c) => `gemv_dense_${HIP_GEMV_ORDERS[c.order]}_c${c.columns}${c.gate === 0 ? '' : '_gate'}`,
  buffers: HIP_MATMUL_BUFFERS,
  /** `order` is a place in HIP_GEMV_ORDERS, `wave` the lanes of a wave on the device. */
  constants: ['order', 'columns', 'gate', 'wave'],
  paramsName: 'hip_matmul',
  params: HIP_MATMUL_PARAMS,
  extents: (p) => ({ ...hipMatmulExtents(p), a: hipDenseA(p) }),
  geometry: (p, c): LaunchGeometry => ({
    // A wave has one row, or four columns in each lane.
    threadgroups: [
      ceilDiv(p.n, HIP_GEMV_ORDERS[c.order] === 'rows' ? THREADS / c.wave : 4 * c.wave),
      ceilDiv(p.m, c.columns),
      product(p.batch),
    ],
    threads: [THREADS, 1, 1],
  }),
  refuse: (p, c) => {
    if (HIP_GEMV_ORDERS[c.order] === undefined) return `there is no order ${c.order}`;
    if (!HIP_GEMV_DENSE_COLUMNS.includes(c.columns)) return `there is no instance of ${c.columns} columns`;
    if (ceilDiv(p.m, c.columns) > MAX_GRID) return 'too many workgroups for one grid';
    return refuseDense(p);
  },
});
