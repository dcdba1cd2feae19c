// Matmuls by experts: each token's rows are multiplied by the weights of the experts that it chose.
import type { Capabilities } from '../device/backend.ts';
import type { DeviceBuffer } from '../device/buffer.ts';
import type { Command } from '../device/command-list.ts';
import { QuantizedTensor, Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { ACTIVATIONS, type Activation } from '../kernels/types.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';
import type { Shape } from '../tensor/layout.ts';
import type { QuantFormatInfo } from '../tensor/quant-format.ts';
import type { Precision, Weights } from './args.ts';
import type { TuningEntry } from './tuning.ts';

/**
 * out[t, u] = act(alpha * a[t, u]·b[e] + bias[e]) with e = ids[t, u]; with a gate
 * (alpha * a[t, u]·b[e] + bias[e]) * act(a[t, u]·gate[e] + gateBias[e]).
 */
export interface ExpertMatmulArgs {
  /** [tokens, used, k]; or [tokens, 1, k] or [tokens, k], where all experts of a token get the same row. */
  readonly a: Tensor;
  /** [experts, n, k], plain floats or blocks. */
  readonly b: Weights;
  /** i32 [tokens, used]: the experts that each token chose; one may be there several times. */
  readonly ids: Tensor;
  /** Where the result goes: [tokens, used, n], any strides. Defaults to a new row-major tensor of `outDType`. */
  readonly out?: Tensor | undefined;
  /** Type of a new result: f32 (default), f16 or bf16. */
  readonly outDType?: DType | undefined;
  /** Defaults to 1. */
  readonly alpha?: number | undefined;
  /** [experts, n]. */
  readonly bias?: Tensor | undefined;
  /** A second weight of the same kind and shape as `b`: the fused GLU forms. */
  readonly gate?: Weights | undefined;
  /** [experts, n], of the bias's dtype. */
  readonly gateBias?: Tensor | undefined;
  /** Defaults to `none`. With a gate it acts on the gate. */
  readonly activation?: Activation | undefined;
  /** Defaults to the dispatcher's. */
  readonly precision?: Precision | undefined;
}

/** A matmul by experts without its data. */
export interface ExpertProblem {
  readonly tokens: number;
  /** Experts per token. */
  readonly used: number;
  readonly experts: number;
  readonly n: number;
  readonly k: number;
  /** tokens * used: rows of the result. */
  readonly pairs: number;
  /** Rows of `a` per token: 1 or `used`. */
  readonly rowsPerToken: number;
  readonly outShape: Shape;
  readonly aDType: DType;
  /** Element type of plain weights, null for block-quantized ones. */
  readonly bDType: DType | null;
  readonly format: QuantFormatInfo | null;
  readonly outDType: DType;
  readonly gated: boolean;
  readonly alpha: number;
  readonly activation: Activation;
  readonly precision: Precision;
}

/** One call, as an {@link ExpertKernel} needs it. */
export interface ExpertCall {
  readonly args: ExpertMatmulArgs;
  readonly problem: ExpertProblem;
  readonly out: Tensor;
  readonly capabilities: Capabilities;
  readonly tuning: TuningEntry;
  readonly workspace: (bytes: number) => DeviceBuffer | null;
}

/** How a back end multiplies by experts without the host knowing which. Legality and policy as for `Candidate`. */
export interface ExpertKernel {
  readonly kernel: string;
  refuse(call: ExpertCall): string | null;
  yields(call: ExpertCall): string | null;
  because(call: ExpertCall): string;
  /** Ids that name no expert leave their rows of the result as they are. */
  commands(call: ExpertCall): Command[];
}

/** Rows that an expert gets on average, rounded up: what a choice of kernel goes by before the ids are known. */
export const meanRows = ({ pairs, experts }: ExpertProblem): number => Math.ceil(pairs / Math.max(1, experts));

function mismatch(message: string, details: Record<string, unknown>): never {
  throw new TilewrightError('ERR_SHAPE_MISMATCH', message, { details });
}

/** Check the arguments. @throws ERR_SHAPE_MISMATCH, ERR_DTYPE_UNSUPPORTED, ERR_INVALID_ARGUMENT */
export function describeExperts(args: ExpertMatmulArgs, precision: Precision): ExpertProblem {
  const { a, b, ids, gate, bias, gateBias } = args;
  if (!(a instanceof Tensor) || !(ids instanceof Tensor)) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', '`a` and `ids` are Tensors; quantized operands go into `b`.');
  }
  if (ids.rank !== 2) mismatch(`ids are [tokens, used], but got ${String(ids)}.`, { ids: ids.shape });
  if (b.rank !== 3) mismatch(`b is [experts, n, k], but got ${String(b)}.`, { b: b.shape });
  const [tokens, used] = ids.shape as [number, number];
  const [experts, n, k] = b.shape as [number, number, number];
  const rowsPerToken = a.rank === 2 ? 1 : (a.shape[1] ?? 0);
  if (
    (a.rank !== 2 && a.rank !== 3) ||
    a.shape[0] !== tokens ||
    a.shape.at(-1) !== k ||
    (rowsPerToken !== 1 && rowsPerToken !== used)
  ) {
    mismatch(
      `a is [tokens, 1 or used, k] or [tokens, k] for ids ${String(ids)} and b ${String(b)}, not ${String(a)}.`,
      {
        ...{ a: a.shape, ids: ids.shape, b: b.shape },
      },
    );
  }
  const format = b instanceof QuantizedTensor ? b.format : null;
  if (gate !== undefined) {
    const same = gate instanceof QuantizedTensor ? gate.format === format : gate.dtype === (b as Tensor).dtype;
    if (!same || gate.rank !== 3 || gate.shape.some((size, i) => size !== b.shape[i])) {
      mismatch(`The gate ${String(gate)} must have the type and shape of b, ${String(b)}.`, { gate: gate.shape });
    }
  } else if (gateBias !== undefined) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', 'gateBias needs a gate.');
  }
  for (const [name, tensor] of Object.entries({ bias, gateBias })) {
    if (tensor !== undefined && (tensor.rank !== 2 || tensor.shape[0] !== experts || tensor.shape[1] !== n)) {
      mismatch(`${name} is [${experts}, ${n}] here, but got ${String(tensor)}.`, { [name]: tensor.shape });
    }
  }
  const outShape = [tokens, used, n];
  const outDType = args.out?.dtype ?? args.outDType ?? 'f32';
  if (args.out !== undefined && (args.out.rank !== 3 || outShape.some((size, i) => size !== args.out!.shape[i]))) {
    mismatch(`out is [${outShape.join(', ')}] here, but got ${String(args.out)}.`, { out: args.out.shape });
  }
  if (args.out?.shape.some((size, i) => size > 1 && args.out!.strides[i] === 0)) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', '`out` maps several elements to one place (stride 0).');
  }
  const plain = format === null ? (b as Tensor).dtype : 'f32';
  const floats = [a.dtype, plain, outDType, bias?.dtype ?? 'f32', gateBias?.dtype ?? 'f32'];
  if (ids.dtype !== 'i32' || floats.some((dtype) => !DTYPES[dtype]?.float)) {
    throw new TilewrightError(
      'ERR_DTYPE_UNSUPPORTED',
      `ids are i32, and everything else floats or blocks: not ${[ids, a, b].map(String).join(', ')} to ${outDType}.`,
    );
  }
  if (bias && gateBias && bias.dtype !== gateBias.dtype) {
    throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', 'bias and gateBias must have one dtype.');
  }
  const activation = args.activation ?? 'none';
  if (!Object.hasOwn(ACTIVATIONS, activation)) {
    throw new TilewrightError(
      'ERR_INVALID_ARGUMENT',
      `Unknown activation "${activation}". Known: ${Object.keys(ACTIVATIONS).join(', ')}.`,
    );
  }
  return {
    ...{ tokens, used, experts, n, k, pairs: tokens * used, rowsPerToken, outShape, outDType, activation, format },
    ...{ aDType: a.dtype, bDType: format === null ? (b as Tensor).dtype : null, gated: gate !== undefined },
    ...{ alpha: args.alpha ?? 1, precision: args.precision ?? precision },
  };
}
