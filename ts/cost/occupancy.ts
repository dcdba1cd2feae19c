import type { MatmulProblem } from '../dispatch/problem.ts';
import { SIMD } from '../kernels/metal/declare.ts';
import { THREAD_TILES } from '../kernels/metal/matmul.ts';
import { type Chip, CORE } from './chips.ts';
import { type MetalConfiguration, tileOf } from './configuration.ts';
import type { Grid } from './traffic.ts';

/** How a launch fills a chip. */
export interface Occupancy {
  readonly threadgroups: number;
  readonly threadgroupBytes: number;
  /** Of a thread, estimated from the sums that it keeps; beyond 128 they are spilled. */
  readonly registers: number;
  /** Threadgroups that a core holds at once, and what forbids more. */
  readonly groupsPerCore: number;
  readonly limit: 'threads' | 'threadgroup memory' | 'registers' | 'grid';
  /** Threadgroups that the busiest core runs, and what share of the cores' time the others are busy beside it. */
  readonly waves: number;
  readonly balance: number;
  /** Share of the simdgroups, or chains within them, that it takes to keep a core's arithmetic busy. */
  readonly fill: number;
}

/** Registers for addresses, loops and operands on their way, beside sums. */
const OTHER_REGISTERS = 32;

/** Sums of a lane, products on their way, and the chains of results that do not wait for each other. */
function shapeOf(c: MetalConfiguration): { sums: number; operands: number; chains: number; bytes: number } {
  switch (c.kernel) {
    case 'metal_gemm': {
      const { m, n, k, wm, wn } = tileOf(c);
      const [down, across] = [m / wm / 8, n / wn / 8];
      const bytes = Math.max((m + n) * k * c.tileBytes, wm * 8 * n * 4);
      // 64 elements of a matrix are two registers of a lane.
      return { sums: 2 * down * across, operands: 2 * (down + across), chains: down * across, bytes };
    }
    case 'metal_gemm_threads': {
      const { m, n, k } = THREAD_TILES[c.tile]!;
      return { sums: 16, operands: 8, chains: 16, bytes: (m + n) * (k + 1) * 4 };
    }
    case 'metal_gemv': {
      const { rows, columns, split, simdgroups } = c;
      const bytes = split > 1 ? simdgroups * rows * columns * 4 : 16;
      return { sums: rows * columns, operands: 4 * (columns <= 4 ? columns : rows), chains: rows * columns, bytes };
    }
    case 'metal_gemv_t':
      return { sums: 4 * c.columns, operands: 8, chains: 4, bytes: c.simdgroups * SIMD * 16 };
    default:
      return { sums: c.columns, operands: 8, chains: c.columns, bytes: 0 };
  }
}

export function occupancyOf({ gate }: MatmulProblem, c: MetalConfiguration, grid: Grid, chip: Chip): Occupancy {
  const { sums, operands, chains, bytes } = shapeOf(c);
  const registers = sums * (gate === null ? 1 : 2) + operands + OTHER_REGISTERS;
  const threadgroups = grid.alongN * grid.alongM * grid.batch;
  const waves = Math.ceil(threadgroups / chip.cores);
  let limit: Occupancy['limit'] = 'threads';
  let groups = Math.floor(CORE.mostSimdgroups / grid.simdgroups);
  const most = (count: number, name: Occupancy['limit']) => {
    if (count >= groups) return;
    groups = count;
    limit = name;
  };
  if (bytes > 0) most(Math.floor(CORE.threadgroupBytes / bytes), 'threadgroup memory');
  const kept = Math.min(registers, CORE.threadRegisters) * 4 * SIMD * grid.simdgroups;
  most(Math.floor(CORE.registerBytes / kept), 'registers');
  most(waves, 'grid');
  const groupsPerCore = Math.max(1, groups);
  return {
    threadgroups,
    threadgroupBytes: bytes,
    registers,
    groupsPerCore,
    limit,
    waves,
    balance: waves === 0 ? 1 : threadgroups / (waves * chip.cores),
    fill: Math.min(1, (groupsPerCore * grid.simdgroups * chains) / CORE.busySimdgroups),
  };
}
