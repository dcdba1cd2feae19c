import type { DeviceBuffer } from './buffer.ts';
import type { Launch } from './command-list.ts';
import type { QuantizedTensor, Tensor } from './tensor.ts';

/** softmax(scale * x + mask) along `dimension`. Shapes and dtypes have been checked. */
export interface SoftmaxCall {
  readonly x: Tensor;
  readonly out: Tensor;
  /** Strides of the mask are over x's dimensions, 0 where it is broadcast. */
  readonly mask: { readonly tensor: Tensor; readonly strides: readonly number[] } | null;
  readonly dimension: number;
  readonly scale: number;
}

/** Evenly spaced rows of quantized weights, decoded to rows of `out` that follow each other. */
export interface DequantizeCall {
  readonly weights: QuantizedTensor;
  readonly out: Tensor;
  readonly rows: number;
  /** Bytes into the weights' buffer, and elements into that of `out`, at which the first row starts. */
  readonly source: number;
  readonly target: number;
}

/** Launches that show what the device can do at most. */
export interface ProbeCatalogue {
  /** Reads the first `bytes` of `data` once; `sink` takes 8 bytes. */
  read(data: DeviceBuffer, sink: DeviceBuffer, bytes: number): Launch;
  /**
   * Multiply-adds of f32, or dot products of 8-bit integers, from registers. Writes how many operations it did into
   * `sink`, as a 64-bit float: 0 if the device has no such instructions.
   */
  peak(kind: 'f32' | 'int8', iterations: number, sink: DeviceBuffer): Launch;
}

/** Rows of a table [rows, k] by i32 indices [count], to `out` [count, k]. Shapes and dtypes have been checked. */
export interface GetRowsCall {
  readonly table: Tensor | QuantizedTensor;
  readonly index: Tensor;
  readonly out: Tensor;
}

/**
 * The element-wise kernels of one back end: how a call that was checked becomes a launch. Which kernel, method and
 * access width is the back end's own business.
 */
export interface ElementwiseCatalogue {
  /** Strided, converting copy; both have one shape of at most MAX_RANK dimensions. */
  copy(from: Tensor, to: Tensor): Launch;
  softmax(call: SoftmaxCall): Launch;
  dequantize(call: DequantizeCall): Launch;
  /** Left out by back ends that have no such kernels. */
  readonly probes?: ProbeCatalogue;
  /** An index that names no row gives a row of NaN. Null where no kernel reads the table: then the host does. */
  getRows(call: GetRowsCall): Launch | null;
}
