import type { QuantizedTensor, Tensor } from '../device/tensor.ts';
import type { Activation } from '../kernels/types.ts';
import type { DType } from '../tensor/dtype.ts';

/** Weights of a matmul: plain elements, or GGUF blocks. */
export type Weights = Tensor | QuantizedTensor;

/**
 * `exact` keeps f32 activations. `fast` allows rounding, for block-quantized weights and on GPUs:
 * - CPU: activations are rounded to 8 bits per group of 32 (as llama.cpp does) and multiplied in integers:
 *   |error| <= sum over groups of max|a| / 254 * sum|b|, beside f32 rounding.
 * - HIP: as on the CPU; where the GPU multiplies matrices of bfloat16, many rows and the decoded weights are rounded to that,
 *   within the same bound.
 * - Metal: GEMM tiles may hold f16: |error| <= 2^-10 * sum|a||b| beside f32 rounding; values beyond 65504 overflow.
 */
export type Precision = 'exact' | 'fast';

/** The closed set of kernel families; `MatmulVariant.GemmTiled` and so on. */
export const MatmulVariant = {
  /** One to a few rows of a against plain weights, streamed once. */
  Gemv: 'Gemv',
  /** Cache-blocked (CPU) or threadgroup-tiled (GPU) GEMM on plain weights. */
  GemmTiled: 'GemmTiled',
  /** One row against quantized weights. */
  QuantGemv: 'QuantGemv',
  /** Two to a few rows against quantized weights, which are still streamed once. */
  QuantGemvBatch: 'QuantGemvBatch',
  /** Many rows against quantized weights: panels are unpacked and reused. */
  QuantGemm: 'QuantGemm',
  /** Float64 accumulation, one output at a time. Takes everything; chosen only when asked for or when nothing else may. */
  Reference: 'Reference',
  /** A kernel that was plugged in. */
  Custom: 'Custom',
} as const;
export type MatmulVariant = (typeof MatmulVariant)[keyof typeof MatmulVariant];

/** How integer weights stand for real ones: w = scale * (q - zeroPoint) + offset. */
export interface AffineQuantization {
  /** One number, or a f32 tensor of shape [n] or [n, groups]. */
  readonly scale: number | Tensor;
  /** Defaults to 0; number or f32 tensor as for `scale`. */
  readonly zeroPoint?: number | Tensor | undefined;
  /** Defaults to 0; number or f32 tensor as for `scale`. */
  readonly offset?: number | Tensor | undefined;
  /** Weights along k that share an entry, for tensors of shape [n, groups]. Defaults to ceil(k / groups). */
  readonly groupSize?: number | undefined;
}

/**
 * out = act(alpha * a·b + bias) + beta * residual, or with a gate (alpha * a·b + bias) * act(a·gate + gateBias) +
 * beta * residual.
 */
export interface MatmulArgs {
  /** [..., m, k] or [k]; f32, f16, bf16 (integers too, read as numbers). Any strides. */
  readonly a: Tensor;
  /** [..., k, n], or [..., n, k] with `transposeB`; block-quantized weights are always [..., n, k]. */
  readonly b: Weights;
  /** `a` is [..., k, m]. Defaults to false. */
  readonly transposeA?: boolean | undefined;
  /** `b` is [..., n, k]. Defaults to true for block-quantized weights, else false. */
  readonly transposeB?: boolean | undefined;
  /** Plain integer weights: how they stand for real numbers. */
  readonly quantization?: AffineQuantization | undefined;
  /**
   * Where the result goes: [..., m, n], any strides; in memory of its own, but that it may be the residual itself. Defaults
   * to a new row-major tensor of `outDType`.
   */
  readonly out?: Tensor | undefined;
  /** Type of a new result: f32 (default), f16 or bf16. */
  readonly outDType?: DType | undefined;
  /** Defaults to 1. */
  readonly alpha?: number | undefined;
  /** Factor of `residual`, or of what `out` holds where there is no residual. Defaults to 1 with a residual, else 0. */
  readonly beta?: number | undefined;
  /** [n]. */
  readonly bias?: Tensor | undefined;
  /** [..., m, n], broadcast if need be. */
  readonly residual?: Tensor | undefined;
  /** A second weight of the same kind and shape as `b`: the fused GLU forms. */
  readonly gate?: Weights | undefined;
  readonly gateBias?: Tensor | undefined;
  readonly gateQuantization?: AffineQuantization | undefined;
  /** Defaults to `none`. With a gate it acts on the gate. */
  readonly activation?: Activation | undefined;
  /** Defaults to the dispatcher's, which defaults to `exact`. */
  readonly precision?: Precision | undefined;
  /** Use this family or fail; for tests and comparisons. */
  readonly variant?: MatmulVariant | undefined;
}
