import type { Capabilities } from '../../device/backend.ts';
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import { product } from '../../kernels/hip/declare.ts';
import { HIP_GEMV_DENSE_COLUMNS, HIP_GEMV_ORDERS, hipGemmDense, hipGemvDense } from '../../kernels/hip/dense.ts';
import { HIP_EXACT_COLUMNS, hipGemvExact } from '../../kernels/hip/exact.ts';
import {
  HIP_GEMM_BF16_TILES,
  HIP_GEMM_TILE,
  hipGemm,
  hipGemmBF16,
  hipGemmSum,
  hipSumBytes,
} from '../../kernels/hip/gemm.ts';
import { hipBlockAlignment, hipGemv, hipGemvOrder } from '../../kernels/hip/gemv.ts';
import { type HipMatmulParams, q8Bytes } from '../../kernels/hip/matmul.ts';
import { hipQuantizeQ8 } from '../../kernels/hip/quantize.ts';
import { dtypeIdBytes } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { MatmulCall, Plan } from '../catalogue.ts';
import { hostReference } from '../host-reference.ts';
import type { MatmulProblem } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';
import { decodedBytes, decodedRows, decodePanel, type Panel, panels, plain } from './decode.ts';
import { KEPT_ALIGNMENT, type Kept, keepActivations, keptNumbers } from './keep.ts';
import { denseParams, gateOf, hipParams } from './params.ts';
import { gemmShape, gemvShape, workgroup } from './shapes.ts';

/**
 * What a dense GEMM multiplies: the operands' own type where both have it, which loses nothing, else f32.
 */
const productOf = ({ aDType, bDType }: MatmulProblem): number =>
  DTYPES[aDType === bDType && (aDType === 'f16' || aDType === 'bf16') ? aDType : 'f32'].id;

/** How activations are rounded to 8 bits: rows that are interleaved, and the order of their runs. */
interface Rounding {
  readonly group: number;
  readonly step: number;
}

export interface HipPlan extends Plan {
  readonly problem: MatmulProblem;
  readonly params: HipMatmulParams;
  readonly rounding: Rounding | null;
  /** Panels of weights that are decoded to working space, one after the other, with the parameters of each; else null. */
  readonly panels: readonly (Panel & { readonly params: HipMatmulParams })[] | null;
  /** For a kernel that reads rows of one type: how activations of another form become that. */
  readonly kept: Kept | null;
  /** Where activations lie in working space: behind the panels. */
  readonly activationsAt: number;
  /** Where workgroups that share tiles along k leave their sums, behind both; null where none do. */
  readonly sumsAt: number | null;
  /** The launch of the kernel itself; null for the one on the JavaScript thread. */
  readonly run: ((buffers: Buffers, params: HipMatmulParams, label: string) => Command) | null;
  readonly label: string;
}

type Buffers = ReturnType<typeof matmulBuffers>;

/** Bytes: activations in working space stay where they are for the next matmul, whatever it leaves behind them. */
const SUMS_ALIGNMENT = 256;

/** What a kernel makes of a problem: parameters that are its own, how it wants its activations, and its launch. */
interface Choice {
  readonly params: HipMatmulParams;
  readonly rounding?: Rounding;
  readonly kept?: Kept | undefined;
  /** Rows of weights that are decoded at a time, for kernels on plain matrices. */
  readonly panelRows?: number | undefined;
  readonly run: NonNullable<HipPlan['run']>;
  /** For labels: `c4/2`. */
  readonly shape: string;
}
type Chooser = (
  problem: MatmulProblem,
  params: HipMatmulParams,
  capabilities: Capabilities,
  tuning: TuningEntry,
) => Choice;

const KERNELS: Readonly<Record<string, Chooser>> = {
  hip_gemm: (problem, common, capabilities, tuning) => {
    const { splits } = gemmShape(problem, capabilities, tuning, [HIP_GEMM_TILE]);
    const constants = { b_dtype: common.b_dtype, gate: gateOf(problem) };
    return {
      params: { ...common, splits },
      rounding: { group: 1, step: 0 },
      run: (buffers, params, label) => launch(hipGemm, { buffers, constants, params, label }),
      shape: `${HIP_GEMM_TILE.m}x${HIP_GEMM_TILE.n}/${splits}`,
    };
  },

  hip_gemm_bf16: (problem, common, capabilities, tuning) => {
    const { m: rows, n, splits } = gemmShape(problem, capabilities, tuning, HIP_GEMM_BF16_TILES);
    const constants = { b_dtype: common.b_dtype, rows, gate: gateOf(problem) };
    const kept = keepActivations(problem, 'bf16');
    return {
      params: { ...common, ...kept.params, splits },
      kept,
      run: (buffers, params, label) => launch(hipGemmBF16, { buffers, constants, params, label }),
      shape: `${rows}x${n}/${splits}`,
    };
  },

  hip_gemv_exact: (problem, common, capabilities, tuning) => {
    const columns = HIP_EXACT_COLUMNS.find((width) => width >= problem.m) ?? HIP_EXACT_COLUMNS.at(-1)!;
    const { m, n, k, batch, format } = problem;
    const outputs = n * Math.ceil(m / columns) * product(batch);
    const { groups, splitShift } = workgroup(outputs, k, format!.name, columns, capabilities, tuning);
    const params = { ...common, groups, split_shift: splitShift };
    const constants = { b_dtype: common.b_dtype, columns, gate: gateOf(problem), wave: capabilities.waveSize! };
    return {
      params,
      kept: keepActivations(problem, 'f32'),
      run: (buffers, params, label) => launch(hipGemvExact, { buffers, constants, params, label }),
      shape: `c${columns}/${2 ** splitShift}`,
    };
  },

  hip_gemm_dense: (problem, _, __, tuning) => {
    const rows = decodedRows(problem, tuning);
    const params = denseParams(problem, rows);
    const constants = { product: productOf(plain(problem)), gate: gateOf(problem) };
    return {
      params,
      panelRows: rows,
      kept: keptNumbers(problem),
      run: (buffers, params, label) => launch(hipGemmDense, { buffers, constants, params, label }),
      shape: `${HIP_GEMM_TILE.m}x${HIP_GEMM_TILE.n}`,
    };
  },

  hip_gemv_dense: (problem, _, { waveSize }, tuning) => {
    const rows = decodedRows(problem, tuning);
    const params = denseParams(problem, rows);
    const [alongN, alongK] = params.b_stride;
    const columns = HIP_GEMV_DENSE_COLUMNS.find((width) => width >= problem.m) ?? HIP_GEMV_DENSE_COLUMNS.at(-1)!;
    const order = HIP_GEMV_ORDERS.indexOf(alongN === 1 && alongK !== 1 ? 'columns' : 'rows');
    const constants = { order, columns, gate: gateOf(problem), wave: waveSize! };
    return {
      params,
      panelRows: rows,
      kept: keptNumbers(problem),
      run: (buffers, params, label) => launch(hipGemvDense, { buffers, constants, params, label }),
      shape: `${HIP_GEMV_ORDERS[order]} c${columns}`,
    };
  },

  hip_gemv: (problem, common, capabilities, tuning) => {
    const { columns, rows, groups, splitShift } = gemvShape(problem, capabilities, tuning);
    const params = { ...common, groups, split_shift: splitShift };
    const constants = {
      b_dtype: common.b_dtype,
      columns,
      rows,
      gate: gateOf(problem),
      wave: capabilities.waveSize!,
    };
    return {
      params,
      rounding: { group: columns, step: hipGemvOrder(capabilities.architecture, common.b_dtype, columns) },
      run: (buffers, params, label) => launch(hipGemv, { buffers, constants, params, label }),
      shape: `c${columns}/${2 ** splitShift}`,
    };
  },
};

export function makePlan(
  problem: MatmulProblem,
  kernel: string,
  capabilities: Capabilities,
  tuning: TuningEntry,
): HipPlan {
  const common = hipParams(problem);
  const choice = KERNELS[kernel]?.(problem, common, capabilities, tuning) ?? null;
  const { m, k, a, batch } = problem;
  const batches = product(batch);
  const { rounding = null, kept = null, run = null, params = common, panelRows: rows } = choice ?? {};
  const form = [m, k, ...a.strides, ...batch, ...a.batch].join();
  const activationsAt = rows === undefined ? 0 : decodedBytes(problem, rows);
  // What stands alone in the working space may be shared.
  const name = rounding !== null ? `q8 ${rounding.group},${rounding.step}` : kept?.direct === false ? kept.dtype : null;
  const bytes = rounding !== null ? batches * q8Bytes(m, k, rounding.group) : (kept?.bytes ?? 0);
  const prepared = activationsAt + (rounding !== null ? Math.max(KEPT_ALIGNMENT, bytes) : bytes);
  const sumsAt = params.splits > 1 ? Math.ceil(prepared / SUMS_ALIGNMENT) * SUMS_ALIGNMENT : null;
  return {
    ...{ kernel, problem, params: Object.freeze(params), rounding, kept, run, activationsAt, sumsAt },
    panels:
      rows === undefined
        ? null
        : panels(problem, rows).map((panel) => ({ ...panel, params: { ...params, n: panel.rows } })),
    scratchBytes: sumsAt === null ? prepared : sumsAt + hipSumBytes(params, gateOf(problem)),
    preparation: name === null || activationsAt > 0 ? null : `${name} ${form}`,
    label:
      `${kernel}<${problem.format?.name ?? problem.bDType}${choice === null ? '' : ` ${choice.shape}`}> ` +
      `${m * batches}x${problem.n}x${k}`,
  };
}

/** The buffers that a kernel is given. */
function matmulBuffers(plan: HipPlan, { args, out }: MatmulCall, a: Binding) {
  return {
    a,
    b: aligned(plan.problem, args.b.binding),
    out: out.binding,
    bias: args.bias?.binding,
    residual: plan.problem.residual === null ? undefined : (args.residual ?? args.out)?.binding,
    gate: args.gate && aligned(plan.problem, args.gate.binding),
    gate_bias: args.gateBias?.binding,
  };
}

/** Blocks begin where the loads of their format want them: in files and fresh tensors they do. */
export function aligned({ format }: Pick<MatmulProblem, 'format'>, binding: Binding): Binding {
  if (format === null) return binding;
  const unit = hipBlockAlignment(format.id!);
  if (binding.byteOffset % unit === 0) return binding;
  throw new TilewrightError(
    'ERR_KERNEL_LAUNCH',
    `${format.name} weights on this back end begin at a multiple of ${unit} bytes, not at ${binding.byteOffset}. ` +
      'Copy them to a buffer of their own.',
    { details: { format: format.name, byteOffset: binding.byteOffset, unit } },
  );
}

export function commands(plan: HipPlan, call: MatmulCall): Command[] {
  const { run, label, problem } = plan;
  if (run === null) return [hostReference(problem, call.args, call.out)];
  const { a, params, prepare } = activations(plan, call);
  const buffers = matmulBuffers(plan, call, a);
  const before = prepare === null || call.prepared ? [] : [prepare];
  if (plan.panels === null) return [...before, ...multiply(plan, buffers, { ...plan.params, ...params }, call)];
  const own = plan.panels.flatMap((panel) => {
    const { commands, b, gate } = decodePanel(problem, call, panel);
    const shifted = { ...columnsFrom(buffers, plan.params, panel.from), b, gate };
    return [...commands, run(shifted, { ...panel.params, ...params }, label)];
  });
  return [...before, ...own];
}

/** Where a kernel finds its activations and the parameters that say so, and the launch that brings them there, if any. */
function activations(plan: HipPlan, call: MatmulCall) {
  const { rounding, kept } = plan;
  const given = call.args.a.binding;
  const a = { buffer: call.scratch!, byteOffset: plan.activationsAt };
  if (rounding !== null) return { a, params: {}, prepare: quantizeCommand(plan, rounding, call) };
  if (kept === null || (kept.direct && given.byteOffset % KEPT_ALIGNMENT === 0)) {
    return { a: given, params: {}, prepare: null };
  }
  return { a, params: kept.params, prepare: kept.copy(given, a) };
}

/** The launch of the kernel, and behind it the one that adds up what workgroups along k have left. */
function multiply(plan: HipPlan, buffers: Buffers, params: HipMatmulParams, { scratch }: MatmulCall): Command[] {
  const { run, label, problem, sumsAt } = plan;
  if (sumsAt === null) return [run!(buffers, params, label)];
  const sums = { buffer: scratch!, byteOffset: sumsAt };
  const { a, b, gate, out, bias, residual, gate_bias } = buffers;
  const none = { bias: undefined, residual: undefined, gate_bias: undefined };
  return [
    run!({ a, b, gate, out: sums, ...none }, params, label),
    launch(hipGemmSum, {
      buffers: { sums, out, bias, residual, gate_bias },
      constants: {},
      params: { ...params, gate: gateOf(problem) },
      label: `hip_gemm_sum ${params.splits} of ${params.m}x${params.n}`,
    }),
  ];
}

/** The buffers whose first column of results is `from`. */
function columnsFrom(buffers: Buffers, p: HipMatmulParams, from: number): Buffers {
  const shifted = <T extends Binding | undefined>(binding: T, stride: number, dtype: number): T =>
    binding && { ...binding, byteOffset: binding.byteOffset + from * stride * dtypeIdBytes(dtype) };
  return {
    ...buffers,
    out: shifted(buffers.out, p.out_stride[1]!, p.out_dtype),
    bias: shifted(buffers.bias, p.bias_stride, p.bias_dtype),
    gate_bias: shifted(buffers.gate_bias, p.gate_bias_stride, p.bias_dtype),
    residual: shifted(buffers.residual, p.residual_stride[1]!, p.residual_dtype),
  };
}

/** The launch that rounds activations to 8 bits. */
function quantizeCommand({ params }: HipPlan, { group, step }: Rounding, { args, scratch }: MatmulCall): Command {
  const { m, k, a_dtype, a_stride, batch, a_batch } = params;
  return launch(hipQuantizeQ8, {
    buffers: { a: args.a.binding, q8: { buffer: scratch!, byteOffset: 0 } },
    constants: {},
    params: { m, k, a_dtype, group, step, a_stride, batch, a_batch },
    label: `hip_quantize_q8 ${m}x${k}`,
  });
}
