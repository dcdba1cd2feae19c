// Bytes that each kernel moves, as functions of the shape. `test/cost` holds them against what the test bed counts.

import type { MatmulProblem } from '../dispatch/problem.ts';
import { ceilDiv, product, SIMD } from '../kernels/metal/declare.ts';
import { THREAD_TILES } from '../kernels/metal/matmul.ts';
import { DTYPES } from '../tensor/dtype.ts';
import { type MetalConfiguration, tileOf } from './configuration.ts';
import { decodingOf, weightRowBytes } from './formats.ts';

/** Threadgroups along n, m and the batch, and what each takes of the problem. */
export interface Grid {
  readonly alongN: number;
  readonly alongM: number;
  readonly batch: number;
  /** Simdgroups of a threadgroup. */
  readonly simdgroups: number;
}

/** Outputs along n of a threadgroup of a GEMV. */
export const gemvOutputs = ({ kernel, rows, simdgroups, split }: MetalConfiguration): number => {
  if (kernel === 'metal_gemv_t') return 4 * SIMD;
  return kernel === 'metal_gemv' ? rows * (simdgroups / split) : simdgroups;
};

export function gridOf({ m, n, batch }: MatmulProblem, c: MetalConfiguration): Grid {
  const matrices = product(batch);
  if (c.kernel === 'metal_gemm' || c.kernel === 'metal_gemm_threads') {
    const matrix = c.kernel === 'metal_gemm';
    const tile = matrix ? tileOf(c) : THREAD_TILES[c.tile]!;
    const simdgroups = matrix ? tileOf(c).wm * tileOf(c).wn : (tile.m * tile.n) / 16 / SIMD;
    return { alongN: ceilDiv(n, tile.n), alongM: ceilDiv(m, tile.m), batch: matrices, simdgroups };
  }
  const outputs = gemvOutputs(c);
  return { alongN: ceilDiv(n, outputs), alongM: ceilDiv(m, c.columns), batch: matrices, simdgroups: c.simdgroups };
}

/** Bytes of the operands, and how often threadgroups read them: what caches do not hold comes from memory again. */
export interface Traffic {
  readonly aBytes: number;
  readonly weightBytes: number;
  readonly outBytes: number;
  readonly aPasses: number;
  readonly weightPasses: number;
}

export function matmulTraffic(problem: MatmulProblem, grid: Grid): Traffic {
  const { m, n, k, gate, residual, b } = problem;
  const outputs = m * n * grid.batch * (residual === null ? 1 : 2);
  const shared = b.batch.length > 0 && b.batch.every((stride) => stride === 0);
  return {
    aBytes: m * k * grid.batch * DTYPES[problem.aDType].bytes,
    weightBytes: n * weightRowBytes(problem) * (shared ? 1 : grid.batch) * (gate === null ? 1 : 2),
    outBytes: outputs * DTYPES[problem.outDType].bytes,
    aPasses: grid.alongN,
    weightPasses: grid.alongM,
  };
}

/**
 * Loads of a lane for one weight and row of `a`, a load of 16 bytes counted as two: weights serve all rows of `a` that a
 * simdgroup multiplies (of `metal_gemv_t` only one, whose loop over them is the outer one), activations all rows of
 * weights.
 */
export function loadsPerWeight(problem: MatmulProblem, { kernel, rows, columns }: MetalConfiguration): number {
  const { loads } = decodingOf(problem);
  // Four activations are a load of 16 bytes, or one of 8.
  const activation = DTYPES[problem.aDType].bytes === 4 ? 0.5 : 0.25;
  if (kernel === 'metal_gemv_t') return loads + activation / 4;
  if (kernel === 'metal_gemv') return loads / columns + activation / rows;
  return (problem.format === null ? 1 : loads) / columns + 1;
}

/** Bytes that lanes load for one weight and row of `a`, first caches included, beside scales that several lanes share. */
export function bytesPerWeight(problem: MatmulProblem, { kernel, rows, columns }: MetalConfiguration): number {
  const weight = weightRowBytes(problem) / problem.k;
  const activation = DTYPES[problem.aDType].bytes;
  if (kernel === 'metal_gemv_t') return weight + activation / 4;
  if (kernel === 'metal_gemv') return weight / columns + activation / rows;
  return weight / columns + activation;
}

/** Threadgroup memory of a tiled product, for one product of two 8 by 8 matrices (512 multiply-adds). */
export interface TileTraffic {
  readonly matrixLoads: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly barriers: number;
}

export function tileTraffic(c: MetalConfiguration): TileTraffic {
  const { kernel, tile, tileBytes } = c;
  if (kernel === 'metal_gemm_threads') {
    const { m, n, k } = THREAD_TILES[tile]!;
    // Each thread reads four elements of either side for 16 multiply-adds.
    return {
      matrixLoads: 0,
      bytesRead: 1024,
      bytesWritten: (512 * (m + n) * 4) / (m * n),
      barriers: 1024 / (m * n * k),
    };
  }
  const { m, n, k, wm, wn } = tileOf(c);
  const [down, across] = [m / wm / 8, n / wn / 8];
  const matrixLoads = (down + across) / (down * across);
  return {
    matrixLoads,
    bytesRead: matrixLoads * 64 * tileBytes,
    bytesWritten: (512 * (m + n) * tileBytes) / (m * n),
    barriers: 1024 / (m * n * k),
  };
}
