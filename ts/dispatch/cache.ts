import { QuantizedTensor, type Tensor } from '../device/tensor.ts';
import { ACTIVATIONS } from '../kernels/types.ts';
import { DTYPES } from '../tensor/dtype.ts';
import type { QuantFormatInfo } from '../tensor/quant-format.ts';
import { type AffineQuantization, type MatmulArgs, MatmulVariant, type Precision } from './args.ts';

/** Selections kept; a model has a few hundred distinct matmuls, so reaching this means shapes that never repeat. */
const MAX_ENTRIES = 8192;
/** Numbers that a key can take: every tensor contributes its type, rank, shape and strides. */
const KEY_LENGTH = 256;

interface Entry<T> {
  readonly key: Float64Array;
  readonly value: T;
  readonly next: Entry<T> | undefined;
}

const VARIANT_IDS: ReadonlyMap<string, number> = new Map(Object.values(MatmulVariant).map((name, i) => [name, i + 1]));

/**
 * Finds what was chosen for arguments of the same form before. A look-up writes the form into one array that is reused
 * and compares numbers: it allocates nothing, which keeps selection of a repeated shape well under a microsecond.
 */
export class SelectionCache<T> {
  readonly #entries = new Map<number, Entry<T>>();
  readonly #scratch = new Float64Array(KEY_LENGTH);
  readonly #formats = new Map<QuantFormatInfo, number>();
  #length = 0;
  #hash = 0;
  #count = 0;

  clear(): void {
    this.#entries.clear();
    this.#count = 0;
  }

  get size(): number {
    return this.#count;
  }

  /** Leaves the key in place for {@link add}. */
  find(args: MatmulArgs, precision: Precision): T | undefined {
    this.#describe(args, precision);
    for (let entry = this.#entries.get(this.#hash); entry !== undefined; entry = entry.next) {
      if (this.#matches(entry.key)) return entry.value;
    }
    return undefined;
  }

  /** Keep `value` for the arguments that {@link find} was asked about last. */
  add(value: T): void {
    if (this.#length > KEY_LENGTH) return; // too many dimensions to describe: chosen anew each time
    if (this.#count >= MAX_ENTRIES) this.clear();
    this.#entries.set(this.#hash, {
      key: this.#scratch.slice(0, this.#length),
      value,
      next: this.#entries.get(this.#hash),
    });
    this.#count++;
  }

  #matches(key: Float64Array): boolean {
    if (key.length !== this.#length) return false;
    for (let i = 0; i < key.length; i++) {
      // alpha may be NaN, which is a different key each time: slower, never wrong.
      if (key[i] !== this.#scratch[i]) return false;
    }
    return true;
  }

  #put(value: number): void {
    if (this.#length < KEY_LENGTH) this.#scratch[this.#length] = value;
    this.#length++;
    this.#hash = (Math.imul(this.#hash ^ (value | 0), 0x01000193) ^ (this.#hash >>> 15)) & 0x3fffffff;
  }

  #putTensor(tensor: Tensor | QuantizedTensor | undefined): void {
    if (tensor === undefined) {
      this.#put(-1);
      return;
    }
    this.#put(tensor instanceof QuantizedTensor ? this.#formatId(tensor.format) : DTYPES[tensor.dtype].id);
    const { shape, strides } = tensor.layout;
    this.#put(shape.length);
    for (let i = 0; i < shape.length; i++) {
      this.#put(shape[i]!);
      this.#put(strides[i]!);
    }
  }

  #formatId(format: QuantFormatInfo): number {
    let id = this.#formats.get(format);
    if (id === undefined) {
      id = 1000 + this.#formats.size;
      this.#formats.set(format, id);
    }
    return id;
  }

  #putAffine(q: AffineQuantization | undefined): void {
    if (q === undefined) {
      this.#put(-2);
      return;
    }
    this.#putEntry(q.scale);
    this.#putEntry(q.zeroPoint);
    this.#putEntry(q.offset);
    this.#put(q.groupSize ?? -1);
  }
  #putEntry(entry: number | Tensor | undefined): void {
    // The value of a plain number does not matter here: it is bound as data.
    if (typeof entry === 'number') this.#put(-3);
    else this.#putTensor(entry);
  }

  #describe(args: MatmulArgs, precision: Precision): void {
    this.#length = 0;
    this.#hash = 0x811c9dc;
    this.#putTensor(args.a);
    this.#putTensor(args.b);
    this.#putTensor(args.out);
    this.#putTensor(args.bias);
    this.#putTensor(args.residual);
    this.#putTensor(args.gate);
    this.#putTensor(args.gateBias);
    this.#putAffine(args.quantization);
    this.#putAffine(args.gateQuantization);
    this.#put(args.alpha ?? 1);
    this.#put(args.beta ?? Number.MIN_VALUE);
    this.#put(args.outDType === undefined ? -1 : (DTYPES[args.outDType]?.id ?? -4));
    this.#put(ACTIVATIONS[args.activation ?? 'none'] ?? -1);
    this.#put(args.variant === undefined ? 0 : (VARIANT_IDS.get(args.variant) ?? -1));
    const transposeB = args.transposeB === undefined ? 4 : args.transposeB ? 2 : 0;
    this.#put((args.transposeA ? 1 : 0) | transposeB | ((args.precision ?? precision) === 'fast' ? 8 : 0));
  }
}
