import type { HostStep } from '../device/command-list.ts';
import { hostRead, hostWrite } from '../device/host-access.ts';
import { QuantizedTensor, type Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import type { Activation } from '../kernels/types.ts';
import type { QuantFormatInfo } from '../tensor/quant-format.ts';
import type { AffineQuantization, MatmulArgs, Weights } from './args.ts';
import type { CustomMetalKernel } from './metal/custom.ts';
import type { MatmulProblem } from './problem.ts';

/** One batch entry as a plug-in kernel sees it. */
export interface CustomMatmulCall {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Activations [m, k], row-major. */
  readonly a: Float32Array;
  /** Weights [n, k]: the packed bytes of the rows for a block-quantized b, else row-major floats. */
  readonly b: Uint8Array | Float32Array;
  /** The format of a block-quantized b, else null. */
  readonly format: QuantFormatInfo | null;
  /** To be filled with sums over k, [m, n] row-major. Comes filled with NaN. */
  readonly out: Float32Array;
}

/** A matmul kernel of your own. */
export interface CustomMatmulKernel {
  /** Unique name, shown by `explain`. */
  readonly name: string;
  /** True, or the reason why this problem is not for the kernel. Asked once per distinct problem. */
  supports(problem: MatmulProblem): true | string;
  /**
   * Among kernels that may run, the highest priority wins; the built-in ones have 0 and win ties.
   * Defaults to 1: a plug-in is preferred wherever it says that it can.
   */
  readonly priority?: number;
  /**
   * Compute `call.out` on the JavaScript thread: on the CPU, and where a GPU back end has nothing better. alpha, bias,
   * gate, activation, residual, strides and batches are handled around it, so a kernel is only the product itself.
   */
  readonly run?: (call: CustomMatmulCall) => void | Promise<void>;
  /** The Metal back end's kernel; it stores the whole result, epilogue included. */
  readonly metal?: CustomMetalKernel;
}

/** A command that runs the kernel and applies the epilogue. */
export function customCommand(
  kernel: CustomMatmulKernel,
  problem: MatmulProblem,
  args: MatmulArgs,
  out: Tensor,
): HostStep {
  return {
    type: 'host',
    label: `${kernel.name} ${problem.m}x${problem.n}x${problem.k}`,
    run: async () => {
      try {
        await runCustom(kernel, problem, args, out);
      } catch (error) {
        if (error instanceof TilewrightError) throw error;
        throw new TilewrightError('ERR_CUSTOM_KERNEL', `Kernel "${kernel.name}" failed: ${String(error)}.`, {
          details: { kernel: kernel.name },
          cause: error,
        });
      }
    },
  };
}

async function runCustom(kernel: CustomMatmulKernel, problem: MatmulProblem, args: MatmulArgs, out: Tensor) {
  await hostMatmul(problem, args, out, {
    run: (call) => kernel.run!(call),
    weights: (weights, quantization, batch) => {
      if (quantization === undefined) return readWeights(weights, batch, args.transposeB ?? false);
      throw new TilewrightError('ERR_CUSTOM_KERNEL', `Kernel "${kernel.name}" cannot take affine weights.`);
    },
  });
}

/** A product on the JavaScript thread, and how it wants its weights. */
export interface HostProduct {
  run(call: CustomMatmulCall): void | Promise<void>;
  /** The weights of batch entry i, as {@link CustomMatmulCall.b}. */
  weights(
    weights: Weights,
    quantization: AffineQuantization | undefined,
    batch: readonly number[],
  ): (i: number) => Uint8Array | Float32Array;
}

/** Everything around a product: strides, batches, gate and epilogue. */
export async function hostMatmul(problem: MatmulProblem, args: MatmulArgs, out: Tensor, host: HostProduct) {
  // Plain views with the batch broadcast, so that each entry is one contiguous piece.
  const vectorA = args.a.rank === 1;
  const vectorB = args.b.rank === 1;
  const batch = problem.outShape.slice(0, problem.outShape.length - (vectorA ? 0 : 1) - (vectorB ? 0 : 1));
  const entries = batch.reduce((x, y) => x * y, 1);
  const m = vectorA ? 1 : args.a.shape.at(args.transposeA ? -1 : -2)!;
  const { n, k } = problem;

  const a = readMatrix(args.a, batch, args.transposeA ?? false);
  const product = async (weights: Weights, quantization: AffineQuantization | undefined) => {
    const b = host.weights(weights, quantization, batch);
    const sums = new Float32Array(entries * m * n).fill(Number.NaN);
    for (let i = 0; i < entries; i++) {
      await host.run({
        m,
        n,
        k,
        a: a.subarray(i * m * k, (i + 1) * m * k),
        b: b(i),
        format: weights instanceof QuantizedTensor ? weights.format : null,
        out: sums.subarray(i * m * n, (i + 1) * m * n),
      });
    }
    return sums;
  };

  const values = await product(args.b, args.quantization);
  const gate = args.gate === undefined ? null : await product(args.gate, args.gateQuantization);
  const column = (tensor: Tensor | undefined) =>
    tensor === undefined ? null : hostRead(tensor, tensor.layout.broadcastTo([n]));
  const bias = column(args.bias);
  const gateBias = column(args.gateBias);
  const residualTensor = problem.beta === 0 ? undefined : (args.residual ?? args.out);
  const residual =
    residualTensor === undefined ? null : hostRead(residualTensor, residualTensor.layout.broadcastTo(problem.outShape));
  for (let i = 0; i < values.length; i++) {
    let value = problem.alpha * values[i]! + (bias?.[i % n] ?? 0);
    if (gate === null) value = activate(problem.activation, value);
    else value *= activate(problem.activation, gate[i]! + (gateBias?.[i % n] ?? 0));
    values[i] = value + (residual === null ? 0 : problem.beta * residual[i]!);
  }
  hostWrite(out, values);
}

function readMatrix(tensor: Tensor, batch: readonly number[], transposed: boolean): Float32Array {
  const layout = transposed ? tensor.layout.transpose() : tensor.layout;
  return hostRead(tensor, layout.broadcastTo([...batch, ...layout.shape.slice(-2)]));
}

/** Weights as they are: packed rows, or floats [n, k]. */
export function readWeights(weights: Weights, batch: readonly number[], transposeB: boolean) {
  if (!(weights instanceof QuantizedTensor)) {
    const values = readMatrix(weights, batch, !transposeB && weights.rank > 1);
    const each = values.length / batch.reduce((x, y) => x * y, 1);
    return (i: number) => values.subarray(i * each, (i + 1) * each);
  }
  const outer = weights.shape.slice(0, -2);
  const each = weights.shape.at(-2)! * weights.rowBytes;
  const bytes = weights.hostBytes();
  return (i: number) => {
    // Entry i of the broadcast batch, as an index into the weights' own batch.
    let rest = i;
    let index = 0;
    let step = 1;
    for (let d = batch.length - 1; d >= 0; d--) {
      const at = rest % batch[d]!;
      rest = Math.floor(rest / batch[d]!);
      const own = outer[d - batch.length + outer.length] ?? 1;
      if (own !== 1) index += at * step;
      step *= own;
    }
    return bytes.subarray(index * each, (index + 1) * each);
  };
}

/** The same functions as `activate` in Sources/CpuKernels/epilogue.h, in float64. */
export function activate(activation: Activation, x: number): number {
  switch (activation) {
    case 'none':
      return x;
    case 'relu':
      return x > 0 || Number.isNaN(x) ? x : 0;
    case 'silu':
      return x / (1 + Math.exp(-x));
    case 'gelu':
      return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * x * (1 + 0.044715 * x * x)));
    case 'gelu_erf':
      return 0.5 * x * (1 + erf(x / Math.SQRT2));
    case 'gelu_quick':
      return x / (1 + Math.exp(-1.702 * x));
    case 'sigmoid':
      return 1 / (1 + Math.exp(-x));
    case 'tanh':
      return Math.tanh(x);
  }
}

/** Error function to about 1e-15: its Taylor series near 0, a continued fraction of erfc beyond. */
function erf(x: number): number {
  const t = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (t > 6) return Math.sign(x);
  if (t < 2.5) {
    let term = t;
    let sum = t;
    for (let i = 1; i < 80 && Math.abs(term) > 1e-17 * sum; i++) {
      term *= (-t * t) / i;
      sum += term / (2 * i + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let i = 60; i > 0; i--) fraction = i / 2 / (t + fraction);
  return Math.sign(x) * (1 - Math.exp(-t * t) / Math.sqrt(Math.PI) / (t + fraction));
}
