import type { Capabilities } from '../../device/backend.ts';
import type { Command } from '../../device/command-list.ts';
import { launch } from '../../device/command-list.ts';
import {
  gemm,
  gemv,
  type MatmulParams,
  matmulReference,
  q8Layout,
  quantGemm,
  quantGemv,
  quantizeQ8,
} from '../../kernels/matmul.ts';
import { ACTIVATIONS } from '../../kernels/types.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import type { MatmulCall, Plan } from '../catalogue.ts';
import { matmulParams } from '../params.ts';
import type { MatmulProblem } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';
import { type CpuLaunchSizes, launchSizes } from './tuning.ts';

/** The built-in kernels, by name. The `quant_` ones take activations that were rounded to 8 bits first. */
const KERNELS = {
  matmul_reference: matmulReference,
  gemm,
  gemv,
  quant_gemv: quantGemv,
  quant_gemm: quantGemm,
} as const;

export interface CpuPlan extends Plan {
  readonly kernel: keyof typeof KERNELS;
  readonly params: MatmulParams;
  readonly constants: Readonly<
    Record<'a_dtype' | 'b_dtype' | 'out_dtype' | 'residual_dtype' | 'bias_dtype' | 'activation', number>
  > &
    CpuLaunchSizes;
  readonly label: string;
}

export function makePlan(
  problem: MatmulProblem,
  kernel: string,
  capabilities: Capabilities,
  tuning: TuningEntry,
): CpuPlan {
  const integer = kernel === 'quant_gemv' || kernel === 'quant_gemm';
  const rows = problem.m * problem.batch.reduce((x, y) => x * y, 1);
  const weight = problem.format?.name ?? problem.bDType;
  const { a, m, k, batch } = problem;
  return {
    kernel: kernel as CpuPlan['kernel'],
    params: matmulParams(problem),
    constants: {
      a_dtype: DTYPES[problem.aDType].id,
      b_dtype: problem.format?.id ?? DTYPES[problem.bDType ?? 'f32'].id,
      out_dtype: DTYPES[problem.outDType].id,
      residual_dtype: DTYPES[problem.residualDType ?? 'f32'].id,
      bias_dtype: DTYPES[problem.biasDType ?? 'f32'].id,
      activation: ACTIVATIONS[problem.activation],
      ...launchSizes(problem, kernel, capabilities, tuning),
    },
    scratchBytes: integer ? Math.max(16, q8Layout(rows, k).byteLength) : 0,
    preparation: integer ? `q8 ${[m, k, ...a.strides, ...batch, ...a.batch].join()}` : null,
    label: `${kernel}<${weight}> ${rows}x${problem.n}x${k}`,
  };
}

export function commands(plan: CpuPlan, call: MatmulCall): Command[] {
  const own = matmulCommand(plan, call);
  return plan.preparation === null || call.prepared ? [own] : [quantizeCommand(plan, call), own];
}

/** The launch that rounds activations to 8 bits. */
function quantizeCommand({ params, constants }: CpuPlan, { args, scratch }: MatmulCall): Command {
  const { m, k, a_stride, batch, a_batch } = params;
  return launch(quantizeQ8, {
    buffers: { a: args.a.binding, q8: { buffer: scratch!, byteOffset: 0 } },
    constants: { a_dtype: constants.a_dtype, threads: constants.threads },
    params: { m, k, a_stride, batch, a_batch },
    label: `quantize_q8 ${m}x${k}`,
  });
}

/** The launch of the matmul kernel itself. */
function matmulCommand(plan: CpuPlan, { args, out, scratch, constant }: MatmulCall): Command {
  const q = args.quantization;
  const gateQ = args.gateQuantization;
  return launch(KERNELS[plan.kernel], {
    buffers: {
      a: plan.preparation === null ? args.a.binding : { buffer: scratch!, byteOffset: 0 },
      b: args.b.binding,
      out: out.binding,
      bias: args.bias?.binding,
      residual: plan.params.beta === 0 ? undefined : (args.residual ?? args.out)?.binding,
      gate: args.gate?.binding,
      gate_bias: args.gateBias?.binding,
      scale: constant(q?.scale)?.binding,
      zero: constant(q?.zeroPoint)?.binding,
      offset: constant(q?.offset)?.binding,
      gate_scale: constant(gateQ?.scale)?.binding,
      gate_zero: constant(gateQ?.zeroPoint)?.binding,
      gate_offset: constant(gateQ?.offset)?.binding,
    },
    constants: plan.constants,
    params: plan.params,
    label: plan.label,
  });
}
