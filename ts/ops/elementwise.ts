import { checkApart } from '../device/aliasing.ts';
import type { Launch } from '../device/command-list.ts';
import type { DequantizeCall } from '../device/elementwise.ts';
import type { QuantizedTensor, Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { MAX_OUTER } from '../kernels/types.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';

export interface SoftmaxOptions {
  /** Dimension that sums to 1; negative counts from the end. Defaults to the last. */
  readonly dimension?: number | undefined;
  /** Factor before the exponential. Defaults to 1. */
  readonly scale?: number | undefined;
  /** Added after scaling, broadcast to x; -inf masks out. f32, f16 or bf16. */
  readonly mask?: Tensor | undefined;
  /** Where the result goes; may be `x` itself. Defaults to a new row-major tensor of x's dtype. */
  readonly out?: Tensor | undefined;
}

/** The launch of a softmax, to be submitted with others. */
export function softmaxLaunch(x: Tensor, out: Tensor, options: SoftmaxOptions = {}): Launch {
  const inner = (options.dimension ?? -1) < 0 ? (options.dimension ?? -1) + x.rank : options.dimension!;
  if (!Number.isInteger(inner) || inner < 0 || inner >= x.rank) {
    throw new TilewrightError('ERR_SHAPE_MISMATCH', `Dimension ${options.dimension} is not one of ${String(x)}.`);
  }
  if (x.rank - 1 > MAX_OUTER) {
    throw new TilewrightError(
      'ERR_SHAPE_MISMATCH',
      `softmax takes at most ${MAX_OUTER + 1} dimensions; reshape first.`,
    );
  }
  if (out.rank !== x.rank || out.shape.some((size, i) => size !== x.shape[i])) {
    throw new TilewrightError('ERR_SHAPE_MISMATCH', `out is ${String(out)}, but x is ${String(x)}.`);
  }
  for (const [name, tensor] of Object.entries({ x, out, mask: options.mask })) {
    if (tensor !== undefined && !DTYPES[tensor.dtype].float) {
      throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `softmax works on floats, but ${name} is ${tensor.dtype}.`);
    }
  }
  const { mask } = options;
  checkApart(out, { mask }, { x });
  return x.device.elementwise.softmax({
    x,
    out,
    mask: mask === undefined ? null : { tensor: mask, strides: mask.layout.broadcastTo(x.shape).strides },
    dimension: inner,
    scale: options.scale ?? 1,
  });
}

/** softmax(scale * x + mask) along one dimension, any strides, no copy. Rows that are masked out entirely give zeros. */
export async function softmax(x: Tensor, options: SoftmaxOptions = {}): Promise<Tensor> {
  const out = options.out ?? x.device.empty(x.shape, { dtype: x.dtype });
  try {
    await x.device.submit([softmaxLaunch(x, out, options)]);
  } catch (error) {
    if (options.out === undefined) out.dispose();
    throw error;
  }
  return out;
}

/** Decode weights on their device to f32, f16 or bf16. @throws ERR_DTYPE_UNSUPPORTED for plug-in formats */
export async function dequantizeTensor(weights: QuantizedTensor, dtype: DType = 'f32'): Promise<Tensor> {
  const { format, device } = weights;
  if (format.id === undefined || !DTYPES[dtype].float) {
    throw new TilewrightError('ERR_DTYPE_UNSUPPORTED', `Kernels cannot decode ${format.name} to ${dtype}.`);
  }
  const out = device.empty(weights.shape, { dtype });
  try {
    await device.submit(rowBlocks(weights, out).map((call) => device.elementwise.dequantize(call)));
  } catch (error) {
    out.dispose();
    throw error;
  }
  return out;
}

/** The runs of evenly spaced rows: one per index of all but the last row dimension. */
function rowBlocks(weights: QuantizedTensor, out: Tensor): DequantizeCall[] {
  const rows = weights.shape.at(-2) ?? 1;
  const outer = weights.shape.slice(0, -2);
  const calls: DequantizeCall[] = [];
  const walk = (depth: number, source: number, target: number) => {
    if (depth === outer.length) {
      calls.push({ weights, out, rows, source, target });
      return;
    }
    for (let i = 0; i < outer[depth]!; i++) {
      walk(depth + 1, source + i * weights.rowStrides[depth]!, target + i * out.strides[depth]!);
    }
  };
  walk(0, weights.byteOffset, 0);
  return calls;
}
