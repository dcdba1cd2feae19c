// The time of a matmul on an Apple GPU: launch + max(memory, cache, arithmetic). docs/cost-model.md derives it.

import type { MatmulProblem } from '../dispatch/problem.ts';
import { SIMD } from '../kernels/metal/declare.ts';
import { THREAD_TILES } from '../kernels/metal/matmul.ts';
import { type Chip, CORE } from './chips.ts';
import { type MetalConfiguration, tileOf } from './configuration.ts';
import { FITTED, type Fitted } from './fitted.ts';
import { decodingOf } from './formats.ts';
import { type Occupancy, occupancyOf } from './occupancy.ts';
import {
  bytesPerWeight,
  type Grid,
  gemvOutputs,
  gridOf,
  loadsPerWeight,
  matmulTraffic,
  tileTraffic,
} from './traffic.ts';

export type Bound = 'memory' | 'compute' | 'launch';

export interface Estimate {
  readonly ms: number;
  /** What takes longest. `memory` is the chip's cache, too. */
  readonly bound: Bound;
  /** Bytes from and to device memory. */
  readonly bytes: number;
  /** Arithmetic of the problem, a multiply-add counted as two, without what decoding and padding add. */
  readonly operations: number;
  readonly occupancy: Occupancy;
  /** ms = launchMs + the largest of the others. */
  readonly parts: Readonly<Record<'launchMs' | 'memoryMs' | 'cacheMs' | 'computeMs', number>>;
}

/** Cycles of a barrier: an assumption. */
const BARRIER_CYCLES = 20;
/** What spilled registers cost: an assumption, large enough that no such tile is preferred. */
const SPILL_FACTOR = 2;

const decodeCycles = (problem: MatmulProblem, c: MetalConfiguration): number =>
  c.decodeCycles ?? decodingOf(problem).cycles;

/** Cycles of a core per threadgroup: busy ones, and those at barriers while none of its other threadgroups runs. */
interface Cycles {
  readonly busy: number;
  readonly waiting: number;
}

function tileCycles(problem: MatmulProblem, c: MetalConfiguration, occupancy: Occupancy, fitted: Fitted): Cycles {
  const matrix = c.kernel === 'metal_gemm';
  const tile = matrix ? tileOf(c) : THREAD_TILES[c.tile]!;
  const steps = Math.ceil(problem.k / tile.k) * (problem.gate === null ? 1 : 2);
  const products = (tile.m * tile.n * tile.k) / 512;
  const { bytesRead, bytesWritten, barriers } = tileTraffic(c);
  const moved = (bytesRead + bytesWritten) / CORE.onCoreBytes;
  // Lanes that multiply read what they multiply from threadgroup memory, which takes longer than the products.
  const product = matrix
    ? CORE.mmaCycles / CORE.pipes + fitted.exposedTraffic * moved
    : Math.max(512 / CORE.fma, moved);
  const decoded = problem.format === null ? 0 : (512 / tile.m) * decodeCycles(problem, c);
  const decode = (decoded * fitted.exposedDecoding) / CORE.fma;
  return {
    busy: steps * products * (product + decode),
    waiting: (steps * products * barriers * BARRIER_CYCLES) / occupancy.groupsPerCore,
  };
}

/** A GEMV: arithmetic, loads and bytes go side by side, the sums of a simdgroup come after. */
function gemvCycles(problem: MatmulProblem, c: MetalConfiguration, grid: Grid): Cycles {
  const gates = problem.gate === null ? 1 : 2;
  const weights = gemvOutputs(c) * problem.k * gates;
  // metal_gemv_t reads its weights again for each row of a.
  const decoded = c.kernel === 'metal_gemv_t' ? c.columns : 1;
  const arithmetic = weights * (decodeCycles(problem, c) * decoded + c.columns);
  // A load of a simdgroup takes a cycle of the core at least.
  const loads = (weights * c.columns * loadsPerWeight(problem, c)) / SIMD;
  const bytes = weights * c.columns * bytesPerWeight(problem, c);
  const across = c.kernel === 'metal_gemv_t' ? 0 : c.rows * c.columns * gates * grid.simdgroups;
  const stream = Math.max(arithmetic / CORE.fma, loads, bytes / CORE.onCoreBytes);
  return { busy: stream + (across * CORE.simdSumCycles) / CORE.pipes, waiting: 0 };
}

/** Bytes from device memory: operands once, and weights again at each pass, where the chip's cache does not hold them. */
function memoryBytes(problem: MatmulProblem, grid: Grid, occupancy: Occupancy, chip: Chip) {
  const { aBytes, weightBytes, outBytes, aPasses, weightPasses } = matmulTraffic(problem, grid);
  const fits = weightBytes + aBytes <= chip.cacheBytes;
  // Threadgroups that run side by side along m share what they read.
  const abreast = Math.max(1, (occupancy.groupsPerCore * chip.cores) / grid.alongN);
  const passes = fits ? 1 : Math.max(1, weightPasses / abreast);
  return {
    memory: aBytes + weightBytes * passes + outBytes,
    cache: aBytes * aPasses + weightBytes * weightPasses,
  };
}

/** 10^9 bytes a second that the whole chip draws from memory. */
export const bandwidthOf = (chip: Chip, { bandwidthShare }: Fitted): number =>
  Math.min(bandwidthShare * chip.bandwidthGbps, chip.cores * chip.clockGhz * CORE.memoryBytes);

/** What a configuration of a kernel takes on a chip. */
export function estimateMatmul(
  problem: MatmulProblem,
  configuration: MetalConfiguration,
  chip: Chip,
  fitted: Fitted = FITTED,
): Estimate {
  const { kernel } = configuration;
  const grid = gridOf(problem, configuration);
  const occupancy = occupancyOf(problem, configuration, grid, chip);
  const tiled = kernel === 'metal_gemm' || kernel === 'metal_gemm_threads';
  const group = tiled
    ? tileCycles(problem, configuration, occupancy, fitted)
    : gemvCycles(problem, configuration, grid);
  const spilled = occupancy.registers > CORE.threadRegisters ? SPILL_FACTOR : 1;
  const cycles = occupancy.waves * ((group.busy * spilled) / occupancy.fill + group.waiting);
  const { memory, cache } = memoryBytes(problem, grid, occupancy, chip);
  const clock = chip.clockGhz * 1e6;
  const parts = {
    launchMs: fitted.launchUs / 1000,
    memoryMs: memory / bandwidthOf(chip, fitted) / 1e6,
    // The busiest core; with too few simdgroups it waits for memory as it waits for arithmetic.
    cacheMs: (occupancy.waves * cache) / occupancy.threadgroups / (clock * CORE.sharedBytes * occupancy.fill),
    computeMs: cycles / clock,
  };
  const moving = Math.max(parts.memoryMs, parts.cacheMs);
  const longest = Math.max(moving, parts.computeMs);
  const bound = parts.launchMs > longest ? 'launch' : moving >= parts.computeMs ? 'memory' : 'compute';
  const operations = 2 * problem.m * problem.n * problem.k * grid.batch * (problem.gate === null ? 1 : 2);
  return { ms: parts.launchMs + longest, bound, bytes: memory, operations, occupancy, parts };
}
