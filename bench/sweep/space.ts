// What can be tuned on each back end, cut into studies: entries that are looked for together, at the shapes whose kernels
// read them.
import type { BackendName, Capabilities } from '../../ts/device/backend.ts';
import { fittingTiles } from '../../ts/dispatch/metal/shapes.ts';
import type { MatmulProblem } from '../../ts/dispatch/problem.ts';
import { entryProblem, type TuningLimits } from '../../ts/dispatch/tuning.ts';
import { hipGemvColumns } from '../../ts/kernels/hip/gemv.ts';
import { GEMM_TILES } from '../../ts/kernels/metal/matmul.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import type { Configuration, SweepShape } from './shape.ts';

/** The number of rows up to which weights are streamed: measured with one and with the other at every number of rows. */
export interface CrossOverStudy {
  readonly type: 'cross-over';
  readonly name: string;
  readonly entry: string;
  readonly shapes: readonly SweepShape[];
}

/** Sizes of a kernel: every combination of some values, for all shapes alike. */
export interface SizeStudy {
  readonly type: 'sizes';
  readonly name: string;
  readonly axes: Readonly<Record<string, readonly number[]>>;
  readonly shapes: readonly SweepShape[];
  /** Kernels that read the entries; other shapes are left out. Null: any. */
  readonly kernels: readonly string[] | null;
  /** Why a configuration is not legal for a problem, or null. */
  readonly refuse?: (configuration: Configuration, problem: MatmulProblem, capabilities: Capabilities) => string | null;
}

export type Study = CrossOverStudy | SizeStudy;

export const entriesOf = (study: Study): readonly string[] =>
  study.type === 'cross-over' ? [study.entry] : Object.keys(study.axes);

/** Shapes by a key, in their order. */
function grouped(shapes: readonly SweepShape[], key: (shape: SweepShape) => string): Map<string, SweepShape[]> {
  const groups = new Map<string, SweepShape[]>();
  for (const shape of shapes) groups.set(key(shape), [...(groups.get(key(shape)) ?? []), shape]);
  return groups;
}

const weights = ({ format, precision }: SweepShape) => (QuantFormat.has(format) ? `${format} ${precision}` : format);

function crossOvers(shapes: readonly SweepShape[], limits: TuningLimits): CrossOverStudy[] {
  return [...grouped(shapes, weights)].flatMap(([group, of]): CrossOverStudy[] => {
    const { format, precision } = of[0]!;
    const name = !QuantFormat.has(format) ? 'gemvRows' : precision === 'fast' ? 'quantGemvRows' : 'exactGemvRows';
    const entry = `${name}.${format}`;
    const limit = limits[entry];
    if (limit === undefined) return [];
    // One row is always streamed; beyond the limit streaming cannot be asked for.
    const several = of.filter(({ m }) => m > 1 && m <= limit[1]);
    return several.length === 0 ? [] : [{ type: 'cross-over', name: `${group}: ${name}`, entry, shapes: several }];
  });
}

/** Entries of a format, 0 standing for the kernel's own rule. */
function cpuStudies(shapes: readonly SweepShape[]): Study[] {
  return [...grouped(shapes, weights)].flatMap(([group, of]): Study[] => {
    const { format, precision } = of[0]!;
    const quantized = QuantFormat.has(format);
    const blocks: SizeStudy =
      quantized && precision === 'fast'
        ? {
            type: 'sizes',
            name: `${group}: blocks of quant_gemm`,
            axes: {
              [`quantGemmTiles.${format}`]: [0, 1, 2, 4],
              [`quantGemmColumns.${format}`]: [0, 128, 256, 1024],
              [`quantGemmDepth.${format}`]: [0, 256],
            },
            shapes: of,
            kernels: ['quant_gemm'],
          }
        : {
            type: 'sizes',
            name: `${group}: blocks of gemm`,
            axes: {
              [`gemmTiles.${format}`]: [0, 2, 4, 16],
              [`gemmColumns.${format}`]: [0, 128, 256, 1024],
              ...(quantized ? {} : { [`gemmDepth.${format}`]: [0, 64, 128] }),
            },
            shapes: of,
            kernels: ['gemm'],
          };
    const threads: SizeStudy = {
      type: 'sizes',
      name: `${group}: threads`,
      axes: { [`threadWork.${format}`]: [0, 32, 128, 512, 2048, 8192] },
      shapes: of,
      kernels: null,
    };
    return [blocks, threads];
  });
}

function hipStudies(shapes: readonly SweepShape[], { architecture }: Capabilities): Study[] {
  const columns = ({ format, m }: SweepShape) => hipGemvColumns(architecture, QuantFormat.get(format).id!, m);
  const fast = shapes.filter(({ format, precision }) => QuantFormat.has(format) && precision === 'fast');
  const gemv = [...grouped(fast, (shape) => `${shape.format}.c${columns(shape)}`)].map(
    ([key, of]): SizeStudy => ({
      type: 'sizes',
      name: `${key}: waves and split of hip_gemv`,
      axes: {
        [`gemvWaves.${key}`]: [1, 2, 4, 8],
        [`wavesPerUnit.${key}`]: [4, 8, 32, 128, 512],
        [`splitK.${key}`]: [256, 512, 1024, 2048, 4096],
      },
      shapes: of,
      kernels: ['hip_gemv'],
    }),
  );
  const gemm = [...grouped(fast, ({ format }) => format)].map(
    ([format, of]): SizeStudy => ({
      type: 'sizes',
      name: `${format}: split of hip_gemm`,
      axes: { [`gemmGroups.${format}`]: [1, 2, 3, 4, 6], [`gemmSplitK.${format}`]: [256, 512, 1024, 2048] },
      shapes: of,
      kernels: ['hip_gemm', 'hip_gemm_bf16'],
    }),
  );
  return [...gemv, ...gemm];
}

/** `64x32x32, 2 by 2 simdgroups` */
const tileName = (index: number): string => {
  const { m, n, k, wm, wn } = GEMM_TILES[index]!;
  return `${m}x${n}x${k}, ${wm} by ${wn} simdgroups`;
};

function metalStudies(shapes: readonly SweepShape[], capabilities: Capabilities): Study[] {
  const most = Math.floor((capabilities.maxThreadgroupThreads ?? 1024) / 32);
  return [
    {
      type: 'sizes',
      name: 'tile for few rows of metal_gemm',
      axes: { skinnyRows: [0, 8, 16, 32, 64], groupsPerCore: [1, 2, 4, 8] },
      shapes,
      kernels: ['metal_gemm'],
    },
    {
      type: 'sizes',
      name: 'tile of metal_gemm',
      axes: { tile: GEMM_TILES.map((_, i) => i + 1) },
      shapes,
      kernels: ['metal_gemm'],
      refuse: ({ tile }, problem, device) =>
        tile === undefined || tile === 0 || fittingTiles(problem, true, device).some(({ index }) => index === tile - 1)
          ? null
          : `tile ${tileName(tile - 1)} has no instance for these operands, or does not fit a threadgroup`,
    },
    {
      type: 'sizes',
      name: 'simdgroups and split of metal_gemv',
      axes: {
        gemvSimdgroups: [1, 2, 4, 8],
        simdgroupsPerCore: [12, 24, 48, 96],
        splitK: [128, 256, 512, 1024, 2048],
      },
      shapes,
      kernels: ['metal_gemv', 'metal_gemv_t'],
      refuse: ({ gemvSimdgroups = 1 }) =>
        gemvSimdgroups <= most ? null : `a threadgroup of this device has at most ${most} simdgroups`,
    },
  ];
}

const SIZES: Readonly<
  Record<BackendName, (shapes: readonly SweepShape[], capabilities: Capabilities) => readonly Study[]>
> = { cpu: cpuStudies, metal: metalStudies, hip: hipStudies };

/** Studies in the order in which they run: which kernel first, as the others are about its sizes. */
export function studiesOf(
  capabilities: Capabilities,
  limits: TuningLimits,
  shapes: readonly SweepShape[],
): readonly Study[] {
  return [...crossOvers(shapes, limits), ...SIZES[capabilities.backend](shapes, capabilities)];
}

/** Every combination of the axes' values, after the default. */
export function combinations(axes: SizeStudy['axes']): Configuration[] {
  let all: Configuration[] = [{}];
  for (const [name, values] of Object.entries(axes)) {
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return [{}, ...all];
}

/** Why a configuration may not run a problem at all, or null. */
export function refusal(
  study: SizeStudy,
  configuration: Configuration,
  limits: TuningLimits,
  problem: MatmulProblem,
  capabilities: Capabilities,
): string | null {
  for (const [name, value] of Object.entries(configuration)) {
    const wrong = entryProblem(name, value, limits);
    if (wrong !== null) return wrong;
  }
  return study.refuse?.(configuration, problem, capabilities) ?? null;
}
