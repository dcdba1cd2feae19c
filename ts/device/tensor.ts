import { TilewrightError } from '../errors.ts';
import { MAX_RANK } from '../kernels/types.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';
import { Layout, type Range, type Shape } from '../tensor/layout.ts';
import { type QuantFormatInfo, rowBytes } from '../tensor/quant-format.ts';
import { checkApart } from './aliasing.ts';
import type { DeviceBuffer } from './buffer.ts';
import type { Binding, Launch } from './command-list.ts';
import type { Device } from './device.ts';

/** What dense and quantized tensors share: they hold a buffer until disposed. */
abstract class TensorHandle implements Disposable {
  readonly layout: Layout;
  #buffer: DeviceBuffer | null;

  constructor(buffer: DeviceBuffer, layout: Layout) {
    this.#buffer = buffer;
    this.layout = layout;
  }

  get shape(): Shape {
    return this.layout.shape;
  }
  get rank(): number {
    return this.layout.rank;
  }
  /** Number of elements. */
  get size(): number {
    return this.layout.size;
  }
  get device(): Device {
    return this.buffer.device;
  }
  get disposed(): boolean {
    return this.#buffer === null;
  }
  /** The memory that this tensor views. @throws ERR_DISPOSED */
  get buffer(): DeviceBuffer {
    if (this.#buffer === null) {
      throw new TilewrightError('ERR_DISPOSED', `This tensor of shape [${this.shape.join(', ')}] was disposed.`, {
        details: { shape: this.shape },
      });
    }
    return this.#buffer;
  }

  /** Give the tensor up. Its memory is freed when no other view of it is left; work in flight is not disturbed. */
  dispose(): void {
    this.#buffer?.dispose();
    this.#buffer = null;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * A strided view of device memory with plain elements. The view operations copy nothing: they make another tensor on
 * the same memory, which is to be disposed like any other.
 */
export class Tensor extends TensorHandle {
  readonly dtype: DType;

  /**
   * Takes over one hold of `buffer`. Use {@link Device.tensor} or {@link Device.empty}.
   * @throws ERR_OUT_OF_BOUNDS if the layout reaches outside the buffer.
   */
  constructor(buffer: DeviceBuffer, dtype: DType, layout: Layout) {
    super(buffer, layout);
    this.dtype = dtype;
    const { from, to } = layout.span;
    const bytes = DTYPES[dtype].bytes;
    if (from < 0 || to * bytes > buffer.byteLength) {
      throw new TilewrightError(
        'ERR_OUT_OF_BOUNDS',
        `A view of elements ${from} to ${to} of ${dtype} lies outside a buffer of ${buffer.byteLength} bytes.`,
        { details: { from, to, byteLength: buffer.byteLength } },
      );
    }
  }

  get strides(): readonly number[] {
    return this.layout.strides;
  }
  /** Position of the first element in the buffer, in elements. */
  get offset(): number {
    return this.layout.offset;
  }
  get isContiguous(): boolean {
    return this.layout.isContiguous;
  }
  /** What kernels get: the buffer, and where the first element lies. */
  get binding(): Binding {
    return { buffer: this.buffer, byteOffset: this.layout.offset * DTYPES[this.dtype].bytes };
  }

  /** Another view of the same memory. */
  view(layout: Layout): Tensor {
    return new Tensor(this.buffer.retain(), this.dtype, layout);
  }
  /** Dimension `i` of the result is dimension `order[i]` of this tensor. */
  permute(order: readonly number[]): Tensor {
    return this.view(this.layout.permute(order));
  }
  /** Swap two dimensions, the last two by default. */
  transpose(first?: number, second?: number): Tensor {
    return this.view(this.layout.transpose(first, second));
  }
  /** Cut dimensions by ranges (`{ start, end, step }`), indices, or nothing. */
  slice(...ranges: readonly (Range | number | null | undefined)[]): Tensor {
    return this.view(this.layout.slice(...ranges));
  }
  /** Repeat dimensions of size 1 by stride 0. */
  broadcastTo(shape: Shape): Tensor {
    return this.view(this.layout.broadcastTo(shape));
  }
  /**
   * The same elements in the same order under another shape; one size may be -1.
   * @throws ERR_SHAPE_MISMATCH if strides cannot express it: call {@link contiguous} first, which copies.
   */
  reshape(shape: Shape): Tensor {
    const layout = this.layout.reshape(shape);
    if (layout !== null) return this.view(layout);
    throw new TilewrightError(
      'ERR_SHAPE_MISMATCH',
      `A view with shape [${this.shape.join(', ')}] and strides [${this.strides.join(', ')}] cannot become ` +
        `[${shape.join(', ')}] without a copy. Call contiguous() first if you want one.`,
      { details: { from: this.shape, strides: this.strides, to: shape } },
    );
  }

  /**
   * A row-major copy, optionally of another dtype: the one operation that copies. (Reading back copies too, to the
   * JavaScript heap.)
   */
  async contiguous(dtype: DType = this.dtype): Promise<Tensor> {
    const result = this.device.empty(this.shape, { dtype });
    try {
      await this.device.submit([copyLaunch(this, result)]);
    } catch (error) {
      result.dispose();
      throw error;
    }
    return result;
  }

  /** The elements in logical row-major order, as floats. Waits for the work that was submitted before. */
  async read(): Promise<Float32Array> {
    using plain = await this.contiguous('f32');
    const values = new Float32Array(this.size);
    plain.buffer.read(new Uint8Array(values.buffer));
    return values;
  }

  override toString(): string {
    return `Tensor(${this.dtype} [${this.shape.join(', ')}])`;
  }
}

/**
 * Block-quantized weights [..., n, k], row by row as they stand in a GGUF file. The last dimension is packed in blocks
 * and cannot be cut or permuted; the outer ones are strided views, with strides in bytes.
 */
export class QuantizedTensor extends TensorHandle {
  readonly format: QuantFormatInfo;

  /** Takes over one hold of `buffer`; `layout` is that of the rows: outer dimensions, strides and offset in bytes. */
  constructor(buffer: DeviceBuffer, format: QuantFormatInfo, shape: Shape, rows: Layout) {
    super(buffer, new Layout(shape, [...rows.strides, 0], rows.offset));
    this.format = format;
    const bytes = rowBytes(format, shape.at(-1) ?? 0);
    const { from, to } = rows.span;
    if (from < 0 || (rows.size > 0 && to - 1 + bytes > buffer.byteLength)) {
      throw new TilewrightError(
        'ERR_OUT_OF_BOUNDS',
        `${format.name} rows of [${shape.join(', ')}] need ${to - 1 + bytes} bytes, but the buffer has ${buffer.byteLength}.`,
        { details: { format: format.name, shape, byteLength: buffer.byteLength } },
      );
    }
  }

  /** Bytes of one row of blocks. */
  get rowBytes(): number {
    return rowBytes(this.format, this.shape.at(-1)!);
  }
  /** Strides of the outer dimensions, in bytes. */
  get rowStrides(): readonly number[] {
    return this.layout.strides.slice(0, -1);
  }
  get byteOffset(): number {
    return this.layout.offset;
  }
  get binding(): Binding {
    return { buffer: this.buffer, byteOffset: this.byteOffset };
  }

  /** Cut outer dimensions (rows, experts); the packed last one stays whole. */
  slice(...ranges: readonly (Range | number | null | undefined)[]): QuantizedTensor {
    const outer = new Layout(this.shape.slice(0, -1), this.rowStrides, this.byteOffset).slice(...ranges);
    return new QuantizedTensor(this.buffer.retain(), this.format, [...outer.shape, this.shape.at(-1)!], outer);
  }

  /** The bytes of all rows, in order. */
  async bytes(): Promise<Uint8Array> {
    await this.device.idle();
    return this.hostBytes();
  }

  /** As {@link bytes}, but not ordered with work in flight: for host steps, which run when it is done. */
  hostBytes(): Uint8Array {
    const outer = new Layout(this.shape.slice(0, -1), this.rowStrides, this.byteOffset);
    const result = new Uint8Array(outer.size * this.rowBytes);
    if (outer.size === 0) return result;
    const step = this.rowBytes;
    if (this.rowStrides.at(-1) === step && outer.rank === 1) {
      this.buffer.read(result, this.byteOffset);
      return result;
    }
    const index = new Array<number>(outer.rank).fill(0);
    for (let row = 0; row < outer.size; row++) {
      const at = index.reduce((sum, i, d) => sum + i * outer.strides[d]!, outer.offset);
      this.buffer.read(result.subarray(row * step, (row + 1) * step), at);
      for (let d = outer.rank - 1; d >= 0 && ++index[d]! === outer.shape[d]; d--) index[d] = 0;
    }
    return result;
  }

  override toString(): string {
    return `QuantizedTensor(${this.format.name} [${this.shape.join(', ')}])`;
  }
}

/** A strided, converting copy between tensors of one shape. */
export function copyLaunch(from: Tensor, to: Tensor): Launch {
  if (from.shape.length > MAX_RANK) {
    throw new TilewrightError('ERR_SHAPE_MISMATCH', `Kernels take at most ${MAX_RANK} dimensions; reshape first.`, {
      details: { shape: from.shape },
    });
  }
  if (from.rank !== to.rank || from.shape.some((size, i) => size !== to.shape[i])) {
    throw new TilewrightError(
      'ERR_SHAPE_MISMATCH',
      `Cannot copy [${from.shape.join(', ')}] to [${to.shape.join(', ')}]; use broadcastTo() to repeat.`,
      { details: { from: from.shape, to: to.shape } },
    );
  }
  checkApart(to, {}, { from });
  return from.device.elementwise.copy(from, to);
}
