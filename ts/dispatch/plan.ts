import type { DeviceBuffer } from '../device/buffer.ts';
import type { Binding, Command } from '../device/command-list.ts';
import { launch } from '../device/command-list.ts';
import type { QuantizedTensor, Tensor } from '../device/tensor.ts';
import {
  gemm,
  gemv,
  type MatmulParams,
  matmulReference,
  q8Layout,
  quantGemm,
  quantGemv,
  quantizeQ8,
} from '../kernels/matmul.ts';
import { ACTIVATIONS, MAX_BATCH_RANK } from '../kernels/types.ts';
import { DTYPES } from '../tensor/dtype.ts';
import type { MatmulArgs, Weights } from './args.ts';
import type { MatmulProblem } from './problem.ts';

/** The built-in kernels, by name. The `quant_` ones take activations that were rounded to 8 bits first. */
export const MATMUL_KERNELS = {
  matmul_reference: matmulReference,
  gemm,
  gemv,
  quant_gemv: quantGemv,
  quant_gemm: quantGemm,
} as const;
export type MatmulKernelName = keyof typeof MATMUL_KERNELS;

/** Everything of a launch that does not depend on the data; built once per problem. */
export interface Plan {
  readonly kernel: MatmulKernelName;
  readonly params: MatmulParams;
  readonly constants: Readonly<
    Record<'a_dtype' | 'b_dtype' | 'out_dtype' | 'residual_dtype' | 'bias_dtype' | 'activation', number>
  >;
  /** Bytes of rounded activations, 0 where the kernel takes plain ones. */
  readonly q8Bytes: number;
  readonly label: string;
}

const ones = (batch: readonly number[]) => [...new Array<number>(MAX_BATCH_RANK - batch.length).fill(1), ...batch];
const zeros = (strides: readonly number[]) => [
  ...new Array<number>(MAX_BATCH_RANK - strides.length).fill(0),
  ...strides,
];

export function makePlan(problem: MatmulProblem, kernel: MatmulKernelName): Plan {
  const none = [0, 0] as const;
  const { affine, gateAffine } = problem;
  const params: MatmulParams = {
    m: problem.m,
    n: problem.n,
    k: problem.k,
    a_stride: problem.a.strides,
    b_stride: problem.b.strides,
    gate_stride: problem.gate?.strides ?? none,
    out_stride: problem.out.strides,
    residual_stride: problem.residual?.strides ?? none,
    bias_stride: problem.biasStride,
    gate_bias_stride: problem.gateBiasStride,
    batch: ones(problem.batch),
    a_batch: zeros(problem.a.batch),
    b_batch: zeros(problem.b.batch),
    gate_batch: zeros(problem.gate?.batch ?? []),
    out_batch: zeros(problem.out.batch),
    residual_batch: zeros(problem.residual?.batch ?? []),
    group: affine?.group ?? 0,
    scale_stride: affine?.scale ?? none,
    zero_stride: affine?.zero ?? none,
    offset_stride: affine?.offset ?? none,
    gate_scale_stride: gateAffine?.scale ?? none,
    gate_zero_stride: gateAffine?.zero ?? none,
    gate_offset_stride: gateAffine?.offset ?? none,
    alpha: problem.alpha,
    beta: problem.beta,
  };
  const integer = kernel === 'quant_gemv' || kernel === 'quant_gemm';
  const rows = problem.m * problem.batch.reduce((x, y) => x * y, 1);
  const weight = problem.format?.name ?? problem.bDType;
  return {
    kernel,
    params,
    constants: {
      a_dtype: DTYPES[problem.aDType].id,
      b_dtype: problem.format?.id ?? DTYPES[problem.bDType ?? 'f32'].id,
      out_dtype: DTYPES[problem.outDType].id,
      residual_dtype: DTYPES[problem.residualDType ?? 'f32'].id,
      bias_dtype: DTYPES[problem.biasDType ?? 'f32'].id,
      activation: ACTIVATIONS[problem.activation],
    },
    q8Bytes: integer ? q8Layout(rows, problem.k).byteLength : 0,
    label: `${kernel}<${weight}> ${rows}x${problem.n}x${problem.k}`,
  };
}

/** Tensors of one call, bound to a plan. */
export interface PlanTensors {
  readonly args: MatmulArgs;
  readonly out: Tensor;
  /** Tensors in place of plain numbers in `quantization`. */
  readonly constant: (value: number | Tensor | undefined) => Tensor | undefined;
}

const bind = (tensor: Tensor | QuantizedTensor | Weights | undefined): Binding | undefined => tensor?.binding;

/** The launch that rounds activations to 8 bits. */
export function quantizeCommand(problem: MatmulProblem, a: Tensor, q8: DeviceBuffer): Command {
  return launch(quantizeQ8, {
    buffers: { a: a.binding, q8: { buffer: q8, byteOffset: 0 } },
    constants: { a_dtype: DTYPES[problem.aDType].id },
    params: {
      m: problem.m,
      k: problem.k,
      a_stride: problem.a.strides,
      batch: ones(problem.batch),
      a_batch: zeros(problem.a.batch),
    },
    label: `quantize_q8 ${problem.m}x${problem.k}`,
  });
}

/** The launch of the matmul kernel itself. */
export function matmulCommand(plan: Plan, { args, out, constant }: PlanTensors, q8: DeviceBuffer | null): Command {
  const q = args.quantization;
  const gateQ = args.gateQuantization;
  return launch(MATMUL_KERNELS[plan.kernel], {
    buffers: {
      a: q8 === null ? args.a.binding : { buffer: q8, byteOffset: 0 },
      b: args.b.binding,
      out: out.binding,
      bias: bind(args.bias),
      residual: plan.params.beta === 0 ? undefined : bind(args.residual ?? args.out),
      gate: bind(args.gate),
      gate_bias: bind(args.gateBias),
      scale: bind(constant(q?.scale)),
      zero: bind(constant(q?.zeroPoint)),
      offset: bind(constant(q?.offset)),
      gate_scale: bind(constant(gateQ?.scale)),
      gate_zero: bind(constant(gateQ?.zeroPoint)),
      gate_offset: bind(constant(gateQ?.offset)),
    },
    constants: plan.constants,
    params: plan.params,
    label: plan.label,
  });
}
