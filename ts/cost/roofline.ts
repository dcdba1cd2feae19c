// The simplest form, for back ends whose limits are measured on the machine at hand (CPU, HIP).

import type { MatmulProblem } from '../dispatch/problem.ts';
import { product } from '../kernels/metal/declare.ts';
import { DTYPES } from '../tensor/dtype.ts';
import type { Bound } from './estimate.ts';
import { weightRowBytes } from './formats.ts';

/** What a device can do at most, as `bench` measures it. */
export interface DeviceLimits {
  readonly bandwidthGbps: number;
  /** 10^9 operations a second, a multiply-add counted as two; null where it is not known. */
  readonly peakGops: number | null;
  readonly launchMs: number;
}

export interface RooflineEstimate {
  readonly ms: number;
  readonly bound: Bound;
  readonly bytes: number;
  readonly operations: number;
}

/**
 * launch + max(bytes / bandwidth, operations / peak), where `rowsPerPass` rows of `a` are multiplied each time that the
 * weights are read (a GEMV's columns; infinite for a GEMM that reuses them from its caches).
 */
export function estimateRoofline(
  problem: MatmulProblem,
  limits: DeviceLimits,
  { rowsPerPass = Number.POSITIVE_INFINITY, launches = 1 } = {},
): RooflineEstimate {
  const { m, n, k, batch, gate } = problem;
  const matrices = product(batch);
  const gates = gate === null ? 1 : 2;
  const passes = Math.max(1, Math.ceil(m / rowsPerPass));
  const weights = n * weightRowBytes(problem) * gates * passes;
  const bytes = matrices * (weights + m * k * DTYPES[problem.aDType].bytes + m * n * DTYPES[problem.outDType].bytes);
  const operations = 2 * m * n * k * matrices * gates;
  const memory = bytes / limits.bandwidthGbps / 1e6;
  const compute = limits.peakGops === null ? 0 : operations / limits.peakGops / 1e6;
  const launch = launches * limits.launchMs;
  const bound = launch > Math.max(memory, compute) ? 'launch' : memory >= compute ? 'memory' : 'compute';
  return { ms: launch + Math.max(memory, compute), bound, bytes, operations };
}
