import { type Launch, launch } from '../device/command-list.ts';
import type { QuantizedTensor, Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { dequantize as dequantizeKernel, softmax as softmaxKernel } from '../kernels/elementwise.ts';
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

/** Dimensions besides the one that is normalised. */
const MAX_OUTER = 7;

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
  const mask = options.mask?.layout.broadcastTo(x.shape);
  const outer = <T>(values: readonly T[], fill: T): T[] => {
    const rest = values.filter((_, i) => i !== inner);
    return [...new Array<T>(MAX_OUTER - rest.length).fill(fill), ...rest];
  };
  const none = x.shape.map(() => 0);
  return launch(softmaxKernel, {
    buffers: { src: x.binding, dst: out.binding, mask: options.mask?.binding },
    constants: {
      src_dtype: DTYPES[x.dtype].id,
      dst_dtype: DTYPES[out.dtype].id,
      mask_dtype: DTYPES[options.mask?.dtype ?? 'f32'].id,
    },
    params: {
      length: x.shape[inner]!,
      inner_stride: [x.strides[inner]!, out.strides[inner]!, mask?.strides[inner] ?? 0],
      shape: outer(x.shape, 1),
      src_stride: outer(x.strides, 0),
      dst_stride: outer(out.strides, 0),
      mask_stride: outer(mask?.strides ?? none, 0),
      scale: options.scale ?? 1,
    },
    label: `softmax ${x.shape.join('x')}`,
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
  const k = weights.shape.at(-1)!;
  const out = device.empty(weights.shape, { dtype });
  try {
    await device.submit(
      rowBlocks(weights, out).map(({ source, target, n }) =>
        launch(dequantizeKernel, {
          buffers: {
            src: { buffer: weights.buffer, byteOffset: source },
            dst: { buffer: out.buffer, byteOffset: target * DTYPES[dtype].bytes },
          },
          constants: { format: format.id!, dst_dtype: DTYPES[dtype].id },
          params: { n, k, src_row_bytes: weights.rowStrides.at(-1) ?? 0, dst_stride: [k, 1] },
          label: `dequantize<${format.name}> ${n}x${k}`,
        }),
      ),
    );
  } catch (error) {
    out.dispose();
    throw error;
  }
  return out;
}

/** The runs of evenly spaced rows: one per index of all but the last row dimension. */
function rowBlocks(weights: QuantizedTensor, out: Tensor) {
  const n = weights.shape.at(-2) ?? 1;
  const outer = weights.shape.slice(0, -2);
  const blocks: { source: number; target: number; n: number }[] = [];
  const walk = (depth: number, source: number, target: number) => {
    if (depth === outer.length) {
      blocks.push({ source, target, n });
      return;
    }
    for (let i = 0; i < outer[depth]!; i++) {
      walk(depth + 1, source + i * weights.rowStrides[depth]!, target + i * out.strides[depth]!);
    }
  };
  walk(0, weights.byteOffset, 0);
  return blocks;
}
