import type { Capabilities } from '../device/backend.ts';
import { CANDIDATES } from '../dispatch/metal/candidates.ts';
import { fittingTiles, halfTiles, mostSimdgroups } from '../dispatch/metal/shapes.ts';
import type { MatmulProblem } from '../dispatch/problem.ts';
import { SIMD } from '../kernels/metal/declare.ts';
import { AFFINE_COLUMNS, GEMV_SHAPES, GEMV_T_COLUMNS } from '../kernels/metal/matmul.ts';
import { chipOf } from './chip-of.ts';
import type { Chip } from './chips.ts';
import { configurationLabel, type MetalConfiguration } from './configuration.ts';
import { type Estimate, estimateMatmul } from './estimate.ts';
import { chipCapabilities } from './problem.ts';

export interface Ranked {
  readonly configuration: MetalConfiguration;
  readonly label: string;
  readonly estimate: Estimate;
}

const powers = (most: number): number[] => {
  const list: number[] = [];
  for (let value = 1; value <= most; value *= 2) list.push(value);
  return list;
};

/** All but the narrowest of the widths that take all rows in one pass. */
const useful = (widths: readonly number[], m: number): number[] => {
  const enough = widths.find((width) => width >= m) ?? Math.max(...widths);
  return widths.filter((width) => width <= enough);
};

/** Every configuration that the kernels and the device allow, and that leaves no simdgroup without work. */
export function legalConfigurations(problem: MatmulProblem, capabilities: Capabilities): MetalConfiguration[] {
  const { m, k } = problem;
  const memory = capabilities.maxThreadgroupBytes ?? Number.POSITIVE_INFINITY;
  const most = mostSimdgroups(capabilities);
  const kernels = new Set(
    CANDIDATES.filter(({ refuse }) => refuse(problem, capabilities) === null).map(({ kernel }) => kernel),
  );
  const none = { rows: 1, columns: 1, split: 1, simdgroups: 1, tile: 0, tileBytes: 4 } as const;
  const list: MetalConfiguration[] = [];
  if (kernels.has('metal_gemv')) {
    const widths = useful(
      GEMV_SHAPES.map(([, columns]) => columns),
      m,
    );
    const parts = Math.max(1, Math.floor(k / Math.max(SIMD, problem.format?.blockSize ?? 0)));
    for (const [rows, columns] of GEMV_SHAPES) {
      if (!widths.includes(columns)) continue;
      for (const simdgroups of powers(most)) {
        for (const split of powers(Math.min(simdgroups, parts))) {
          if (split > 1 && simdgroups * rows * columns * 4 > memory) continue;
          list.push({ ...none, kernel: 'metal_gemv', rows, columns, split, simdgroups });
        }
      }
    }
  }
  if (kernels.has('metal_gemv_t')) {
    for (const columns of useful(GEMV_T_COLUMNS, m)) {
      for (const simdgroups of powers(Math.min(most, memory / 512, Math.max(1, k / 4)))) {
        list.push({ ...none, kernel: 'metal_gemv_t', columns, simdgroups });
      }
    }
  }
  if (kernels.has('metal_gemv_affine')) {
    for (const columns of useful(AFFINE_COLUMNS, m)) {
      for (const simdgroups of powers(most)) list.push({ ...none, kernel: 'metal_gemv_affine', columns, simdgroups });
    }
  }
  const tileBytes = halfTiles(problem) ? 2 : 4;
  for (const [kernel, matrix] of [
    ['metal_gemm', true],
    ['metal_gemm_threads', false],
  ] as const) {
    if (!kernels.has(kernel)) continue;
    for (const { index } of fittingTiles(problem, matrix, capabilities)) {
      list.push({ ...none, kernel, tile: index, tileBytes: matrix ? tileBytes : 4 });
    }
  }
  return list;
}

/** By time; where the model sees no difference, by arithmetic, then the threadgroups that others found good: two simdgroups. */
function compare(x: Ranked, y: Ranked): number {
  const shape = ({ configuration: c }: Ranked) => c.split * 64 + Math.abs(Math.log2(c.simdgroups) - 1);
  return x.estimate.ms - y.estimate.ms || shape(x) - shape(y);
}

/** Every legal configuration with what it is estimated to take, the fastest first: the order in which a sweep tries them. */
export function rankMetal(problem: MatmulProblem, device: Capabilities | Chip): Ranked[] {
  const known = 'clockGhz' in device;
  const chip = known ? device : chipOf(device);
  const capabilities = known ? chipCapabilities(device) : device;
  return legalConfigurations(problem, capabilities)
    .map((configuration) => ({
      configuration,
      label: configurationLabel(configuration),
      estimate: estimateMatmul(problem, configuration, chip),
    }))
    .sort(compare);
}
