import { TilewrightError } from '../errors.ts';

/** Sizes of a tensor's dimensions, outermost first. An empty shape is a scalar. */
export type Shape = readonly number[];

/** How `slice` cuts one dimension: JavaScript's rules (negative counts from the end), plus a step that may be negative. */
export interface Range {
  readonly start?: number;
  readonly end?: number;
  readonly step?: number;
}

const fail = (message: string, details: Record<string, unknown>): never => {
  throw new TilewrightError('ERR_SHAPE_MISMATCH', message, { details });
};

/** Elements of a shape. */
export function elementCount(shape: Shape): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** Throws unless every size is a whole number >= 0 and the element count is a safe integer. */
export function checkShape(shape: Shape): void {
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      fail(`A shape is made of whole numbers from 0, but got [${shape.join(', ')}].`, { shape });
    }
  }
  // Checked without the zeros, so that [2^40, 2^40, 0] is refused as well.
  let count = 1;
  for (const size of shape) count *= size || 1;
  if (!Number.isSafeInteger(count)) fail(`A tensor of shape [${shape.join(', ')}] is too large.`, { shape });
}

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= Math.max(shape[i]!, 1);
  }
  return strides;
}

/**
 * Where a tensor's elements lie in a buffer: element [i, j, …] is at `offset + i * strides[0] + j * strides[1] + …`,
 * everything counted in elements. Strides may be 0 (broadcast) or negative (reversed). Immutable; every operation gives
 * a new layout of the same memory.
 */
export class Layout {
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;

  constructor(shape: Shape, strides: readonly number[] = contiguousStrides(shape), offset = 0) {
    checkShape(shape);
    if (strides.length !== shape.length) {
      fail(`${shape.length} dimensions need as many strides, but got ${strides.length}.`, { shape, strides });
    }
    if (!strides.every(Number.isSafeInteger) || !Number.isSafeInteger(offset)) {
      fail('Strides and offset are whole numbers of elements.', { strides, offset });
    }
    this.shape = Object.freeze([...shape]);
    this.strides = Object.freeze([...strides]);
    this.size = elementCount(shape);
    // An empty tensor lies nowhere: cut off the end of a buffer, it must not point outside.
    this.offset = this.size === 0 ? 0 : offset;
    Object.freeze(this);
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Half-open range of element positions that the layout touches; empty tensors touch none. */
  get span(): { readonly from: number; readonly to: number } {
    if (this.size === 0) return { from: 0, to: 0 };
    let from = this.offset;
    let to = this.offset;
    this.shape.forEach((size, i) => {
      const reach = (size - 1) * this.strides[i]!;
      if (reach < 0) from += reach;
      else to += reach;
    });
    return { from, to: to + 1 };
  }

  /** Elements lie in row-major order without gaps. Dimensions of size 1 may have any stride. */
  get isContiguous(): boolean {
    if (this.size === 0) return true;
    let step = 1;
    for (let i = this.rank - 1; i >= 0; i--) {
      const size = this.shape[i]!;
      if (size !== 1 && this.strides[i] !== step) return false;
      step *= size;
    }
    return true;
  }

  /** A dimension index; negative ones count from the end. */
  #dimension(index: number): number {
    const dimension = index < 0 ? index + this.rank : index;
    if (!Number.isInteger(dimension) || dimension < 0 || dimension >= this.rank) {
      fail(`Dimension ${index} does not exist in a tensor of rank ${this.rank}.`, { index, shape: this.shape });
    }
    return dimension;
  }

  /** Reorder the dimensions: dimension `i` of the result is dimension `order[i]` of this one. */
  permute(order: readonly number[]): Layout {
    const dimensions = order.map((index) => this.#dimension(index));
    if (dimensions.length !== this.rank || new Set(dimensions).size !== this.rank) {
      fail(`permute([${order.join(', ')}]) must name each of the ${this.rank} dimensions once.`, { order });
    }
    return new Layout(
      dimensions.map((d) => this.shape[d]!),
      dimensions.map((d) => this.strides[d]!),
      this.offset,
    );
  }

  /** Swap two dimensions, the last two by default. */
  transpose(first = -2, second = -1): Layout {
    const order = this.shape.map((_, i) => i);
    const a = this.#dimension(first);
    const b = this.#dimension(second);
    [order[a], order[b]] = [order[b]!, order[a]!];
    return this.permute(order);
  }

  /**
   * Cut each dimension by a range, an index (which removes the dimension) or nothing (`undefined`, `null`: keep all).
   * Trailing dimensions may be left out.
   */
  slice(...ranges: readonly (Range | number | null | undefined)[]): Layout {
    if (ranges.length > this.rank) {
      fail(`slice() got ${ranges.length} ranges for a tensor of rank ${this.rank}.`, { shape: this.shape });
    }
    const shape: number[] = [];
    const strides: number[] = [];
    let offset = this.offset;
    this.shape.forEach((size, i) => {
      const stride = this.strides[i]!;
      const range = ranges[i];
      if (typeof range === 'number') {
        const at = range < 0 ? range + size : range;
        if (!Number.isInteger(at) || at < 0 || at >= size) {
          throw new TilewrightError('ERR_OUT_OF_BOUNDS', `Index ${range} is outside dimension ${i} of size ${size}.`, {
            details: { index: range, dimension: i, size },
          });
        }
        offset += at * stride;
        return;
      }
      const { first, count, step } = resolveRange(range ?? {}, size, i);
      if (count > 0) offset += first * stride;
      shape.push(count);
      strides.push(stride * step);
    });
    return new Layout(shape, strides, offset);
  }

  /** Repeat dimensions of size 1, and add leading ones, by stride 0. */
  broadcastTo(shape: Shape): Layout {
    checkShape(shape);
    const added = shape.length - this.rank;
    const strides = shape.map((size, i) => {
      const own = i - added;
      if (own < 0) return 0;
      if (this.shape[own] === size) return this.strides[own]!;
      if (this.shape[own] === 1) return 0;
      return Number.NaN;
    });
    if (added < 0 || strides.some(Number.isNaN)) {
      fail(`Shape [${this.shape.join(', ')}] does not broadcast to [${shape.join(', ')}].`, {
        from: this.shape,
        to: shape,
      });
    }
    return new Layout(shape, strides, this.offset);
  }

  /**
   * The same elements in row-major order under another shape; one size may be -1. Works on strided layouts wherever
   * strides can express the result.
   * @returns null where only a copy could do it.
   */
  reshape(shape: Shape): Layout | null {
    const target = this.#inferSize(shape);
    if (this.size === 0) return new Layout(target, undefined, this.offset);
    const strides = new Array<number>(target.length);
    // Walk both shapes in groups of equal element count; within a group this layout must be evenly strided.
    const own: [number, number][] = [];
    this.shape.forEach((size, i) => {
      if (size !== 1) own.push([size, this.strides[i]!]);
    });
    let at = 0;
    let t = 0;
    while (t < target.length) {
      if (target[t] === 1) {
        strides[t++] = 0;
        continue;
      }
      let need = target[t]!;
      let have = own[at]![0];
      let last = at;
      let end = t;
      while (need !== have) {
        if (need < have) need *= target[++end]!;
        else have *= own[++last]![0];
      }
      for (let i = at; i < last; i++) {
        if (own[i]![1] !== own[i + 1]![1] * own[i + 1]![0]) return null;
      }
      let step = own[last]![1];
      for (let i = end; i >= t; i--) {
        strides[i] = step;
        step *= target[i]!;
      }
      at = last + 1;
      t = end + 1;
    }
    return new Layout(target, strides, this.offset);
  }

  #inferSize(shape: Shape): number[] {
    const wild = shape.filter((size) => size === -1).length;
    const known = elementCount(shape.filter((size) => size !== -1));
    const inferred = wild === 1 && known > 0 ? this.size / known : 0;
    const target = shape.map((size) => (size === -1 ? inferred : size));
    if (wild > 1 || !Number.isInteger(inferred) || elementCount(target) !== this.size) {
      fail(`Shape [${this.shape.join(', ')}] has ${this.size} elements and cannot become [${shape.join(', ')}].`, {
        from: this.shape,
        to: shape,
      });
    }
    checkShape(target);
    return target;
  }
}

function resolveRange(range: Range, size: number, dimension: number) {
  const step = range.step ?? 1;
  for (const value of [range.start ?? 0, range.end ?? 0, step]) {
    if (!Number.isSafeInteger(value)) fail('A range is made of whole numbers.', { range, dimension });
  }
  if (step === 0) fail(`The step of the range for dimension ${dimension} is 0.`, { range, dimension });
  const clamp = (value: number, low: number, high: number) =>
    Math.min(Math.max(value < 0 ? value + size : value, low), high);
  if (step > 0) {
    const first = clamp(range.start ?? 0, 0, size);
    const end = range.end === undefined ? size : clamp(range.end, 0, size);
    return { first, step, count: Math.max(0, Math.ceil((end - first) / step)) };
  }
  // Downwards: from the last element unless told otherwise, to below the first.
  const first = range.start === undefined ? size - 1 : clamp(range.start, -1, size - 1);
  const end = range.end === undefined ? -1 : clamp(range.end, -1, size - 1);
  return { first, step, count: Math.max(0, Math.ceil((first - end) / -step)) };
}
