import type { Capabilities } from '../../device/backend.ts';
import { TilewrightError } from '../../errors.ts';
import { type ByteRange, type LaunchGeometry, stridedRange } from '../../kernels/declare.ts';
import { denseExtents, MATMUL_PARAMS, type MatmulParams } from '../../kernels/matmul.ts';
import { declareMetalKernel, FIRST_OWN_CONSTANT, type FunctionConstant } from '../../kernels/metal/declare.ts';
import { METAL_MATMUL_BUFFERS, METAL_MATMUL_CONSTANTS } from '../../kernels/metal/matmul.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { QuantFormatInfo } from '../../tensor/quant-format.ts';
import type { CustomMatmulKernel } from '../custom.ts';
import { matmulParams } from '../params.ts';
import type { MatmulProblem } from '../problem.ts';
import { fixedConstants, type MetalPlan } from './plan.ts';

/** A plug-in's kernel as Metal source. */
export interface CustomMetalKernel {
  /**
   * Metal source. It may include the package's headers: `generated/matmul.h` declares the arguments that it is launched
   * with (`TW_MATMUL_ARGUMENTS`) and its function constants, `common/epilogue.h` stores results.
   */
  readonly source: string;
  /** The function, by host name; or by problem, where there are several. */
  readonly entry: string | ((problem: MatmulProblem) => string);
  /** The grid. Asked once per distinct problem. */
  readonly geometry: (problem: MatmulProblem, capabilities: Capabilities) => LaunchGeometry;
  /** Function constants of its own, by indices from 32 on. */
  readonly constants?: (problem: MatmulProblem) => readonly FunctionConstant[];
}

/** `fc_b_dtype` for a format that the package does not know. */
const UNKNOWN_FORMAT = 255;

/** What a plug-in's functions throw is theirs. */
function ask<T>(kernel: CustomMatmulKernel, what: string, answer: () => T): T {
  try {
    return answer();
  } catch (cause) {
    throw new TilewrightError('ERR_CUSTOM_KERNEL', `Kernel "${kernel.name}" failed in ${what}: ${String(cause)}.`, {
      details: { kernel: kernel.name },
      cause,
    });
  }
}

/** The bytes of rows of blocks that only their format's entry describes. */
function blockRange(
  { blockSize, blockBytes }: QuantFormatInfo,
  p: MatmulParams,
  row: number,
  batch: readonly number[],
) {
  const span = stridedRange([p.n, ...p.batch], [row, ...batch], 1);
  if (span.to === 0 || p.k === 0) return { from: 0, to: 0 };
  return { from: span.from, to: span.to - 1 + (p.k / blockSize) * blockBytes };
}

/** The plan of a plug-in: a declaration of its own, with the arguments of the package's matmul kernels. */
export function customPlan(kernel: CustomMatmulKernel, problem: MatmulProblem, capabilities: Capabilities): MetalPlan {
  const { source, entry, geometry, constants } = kernel.metal!;
  const name = ask(kernel, 'entry', () => (typeof entry === 'string' ? entry : entry(problem)));
  const grid = ask(kernel, 'geometry', () => geometry(problem, capabilities));
  const ownConstants = ask(kernel, 'constants', () => constants?.(problem) ?? []);
  for (const { index } of ownConstants) {
    if (Number.isInteger(index) && index >= FIRST_OWN_CONSTANT) continue;
    throw new TilewrightError(
      'ERR_CUSTOM_KERNEL',
      `Kernel "${kernel.name}" sets function constant ${index}; its own begin at ${FIRST_OWN_CONSTANT}.`,
      { details: { kernel: kernel.name, index } },
    );
  }
  const format = problem.format !== null && problem.format.id === undefined ? problem.format : null;
  const declaration = declareMetalKernel({
    id: -1,
    name: kernel.name,
    doc: 'A plug-in.',
    source: `${kernel.name}.metal`,
    text: source,
    ownConstants,
    entry: () => name,
    buffers: METAL_MATMUL_BUFFERS,
    constants: METAL_MATMUL_CONSTANTS,
    paramsName: 'matmul',
    params: MATMUL_PARAMS,
    extents: (p, c): Partial<Record<keyof typeof METAL_MATMUL_BUFFERS, ByteRange>> => {
      if (format === null) return denseExtents(p, c);
      return {
        ...denseExtents(p, { ...c, b_dtype: DTYPES.i8.id }),
        b: blockRange(format, p, p.b_stride[0]!, p.b_batch),
        gate: blockRange(format, p, p.gate_stride[0]!, p.gate_batch),
      };
    },
    geometry: () => grid,
    alignment: () => ({}),
  });
  const rows = problem.m * problem.batch.reduce((x, y) => x * y, 1);
  const fixed = fixedConstants(problem);
  return {
    kernel: kernel.name,
    declaration,
    problem,
    params: matmulParams(problem),
    constants: format === null ? fixed : { ...fixed, b_dtype: UNKNOWN_FORMAT },
    vectors: format === null ? 'both' : 'a',
    aligned: new Map(),
    scratchBytes: 0,
    preparation: null,
    label: `${kernel.name} ${rows}x${problem.n}x${problem.k}`,
  };
}
