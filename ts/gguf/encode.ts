import { TilewrightError } from '../errors.ts';
import { quote } from './report.ts';
import {
  type GGUFList,
  type GGUFStrings,
  isNumberType,
  type MetadataArray,
  type MetadataType,
  NUMBER_ARRAYS,
  type NumberArray,
  type NumberType,
  numberTypeOf,
  VALUE_TYPES,
  type ValueType,
} from './value-types.ts';

/** A metadata value with the type that it is to have in the file: `{ type: 'f32', value: 1e-5 }`. */
export type TypedValue =
  | { readonly type: NumberType; readonly value: number | bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: `${NumberType}[]`; readonly value: Iterable<number | bigint> }
  | { readonly type: 'bool[]'; readonly value: Iterable<boolean> }
  | { readonly type: 'string[]'; readonly value: Iterable<string> }
  | { readonly type: 'array[]'; readonly value: Iterable<MetadataInput> };

/**
 * What the writer takes for a metadata value. Whole numbers become u32, or i32 below zero, or 64 bits where they need
 * them; a fraction needs its type said (`{ type: 'f32', value }`), and so does an array of numbers that is not a typed
 * array.
 */
export type MetadataInput =
  | string
  | boolean
  | number
  | bigint
  | MetadataArray
  | readonly string[]
  | readonly boolean[]
  | TypedValue;

/** Bytes of a header, written front to back. */
export class HeaderEncoder {
  readonly #countBytes: 4 | 8;
  #bytes = Buffer.alloc(4096);
  #length = 0;

  constructor(countBytes: 4 | 8) {
    this.#countBytes = countBytes;
  }

  get length(): number {
    return this.#length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  bytes(bytes: Uint8Array): void {
    const start = this.#reserve(bytes.length);
    this.#bytes.set(bytes, start);
  }

  u32(value: number): void {
    const start = this.#reserve(4);
    this.#bytes.writeUInt32LE(value, start);
  }

  u64(value: number): void {
    const start = this.#reserve(8);
    this.#bytes.writeBigUInt64LE(BigInt(value), start);
  }

  count(value: number): void {
    if (this.#countBytes === 8) this.u64(value);
    else if (value < 2 ** 32) this.u32(value);
    else throw invalid(`${value} does not fit in the 32 bits that version 1 has for it`);
  }

  string(text: string): void {
    if (typeof text !== 'string') throw invalid(`${quote(String(text))} is not a string`);
    if (/\p{Surrogate}/u.test(text)) throw invalid(`${quote(text)} holds half a surrogate pair and has no UTF-8 form`);
    const length = Buffer.byteLength(text);
    this.count(length);
    const start = this.#reserve(length);
    this.#bytes.write(text, start, 'utf8');
  }

  /** A metadata value after its key: type and content. */
  value(input: MetadataInput): void {
    const { type, value } = typed(input);
    const items = itemType(type);
    if (items === undefined) {
      this.u32(VALUE_TYPES.indexOf(type as ValueType));
      this.#items(type as ValueType, [value]);
    } else {
      this.u32(VALUE_TYPES.indexOf('array'));
      this.#array(items, value as Iterable<unknown>);
    }
  }

  #array(items: ValueType, value: Iterable<unknown>): void {
    const list = isStrings(value) || ArrayBuffer.isView(value) ? value : Array.from(value);
    this.u32(VALUE_TYPES.indexOf(items));
    this.count((list as ArrayLike<unknown>).length);
    this.#items(items, list);
  }

  #items(type: ValueType, items: Iterable<unknown>): void {
    if (isNumberType(type)) {
      this.bytes(bytesOf(numberTypeOf(items) === type ? (items as NumberArray) : convert(type, [...items])));
    } else if (type === 'string' && isStrings(items)) {
      // As bytes: tokens need not be valid UTF-8.
      for (let i = 0; i < items.length; i++) {
        const bytes = items.bytesAt(i)!;
        this.count(bytes.length);
        this.bytes(bytes);
      }
    } else {
      for (const item of items) this.#item(type, item);
    }
  }

  #item(type: 'string' | 'bool' | 'array' | NumberType, item: unknown): void {
    if (type === 'string') {
      this.string(item as string);
    } else if (type === 'bool') {
      if (typeof item !== 'boolean') throw invalid(`${quote(String(item))} is not a boolean`);
      this.bytes(Uint8Array.of(item ? 1 : 0));
    } else {
      const inner = typed(item as MetadataInput);
      const items = itemType(inner.type);
      if (items === undefined) throw invalid(`an item of array[] must be an array, not a value of type ${inner.type}`);
      this.#array(items, inner.value as Iterable<unknown>);
    }
  }

  /** Makes room for `count` bytes and returns where; the buffer may be another one afterwards. */
  #reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const bytes = Buffer.alloc(Math.max(this.#length, 2 * this.#bytes.length));
      this.#bytes.copy(bytes, 0, 0, start);
      this.#bytes = bytes;
    }
    return start;
  }
}

export function invalid(problem: string): TilewrightError {
  return new TilewrightError('ERR_INVALID_ARGUMENT', `Cannot write a GGUF file: ${problem}`);
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The type that an input is written with. */
function typed(input: MetadataInput): { readonly type: MetadataType; readonly value: unknown } {
  if (typeof input === 'string') return { type: 'string', value: input };
  if (typeof input === 'boolean') return { type: 'bool', value: input };
  if (typeof input === 'number' || typeof input === 'bigint') return { type: integerType(input), value: input };
  if (typeof input !== 'object' || input === null) throw invalid(`${String(input)} is not a metadata value`);
  if (Array.isArray(input)) return { type: plainArrayType(input), value: input };
  const numbers = numberTypeOf(input);
  if (numbers !== undefined) return { type: `${numbers}[]`, value: input };
  if (isList(input)) return { type: `${input.type}[]`, value: input };
  if (isTyped(input)) return input;
  throw invalid(`${quote(JSON.stringify(input))} is not a metadata value`);
}

function integerType(value: number | bigint): MetadataType {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw invalid(`the number ${value} needs a type, for example { type: 'f32', value: ${value} }`);
  }
  const n = BigInt(value);
  if (n < 0n) return n >= -(2n ** 31n) ? 'i32' : 'i64';
  return n < 2n ** 32n ? 'u32' : 'u64';
}

function plainArrayType(items: readonly unknown[]): MetadataType {
  if (items.length > 0 && items.every((item) => typeof item === 'string')) return 'string[]';
  if (items.length > 0 && items.every((item) => typeof item === 'boolean')) return 'bool[]';
  throw invalid("an array that is empty or not of strings or booleans needs a type: { type: 'i32[]', value: [...] }");
}

function isTyped(input: object): input is TypedValue {
  const type = (input as { type?: unknown }).type;
  if (typeof type !== 'string' || !('value' in input)) return false;
  return (VALUE_TYPES as readonly string[]).includes(type.replace(/\[\]$/, '')) && type !== 'array';
}

function isList(input: object): input is GGUFList<unknown> & MetadataArray {
  return 'toArray' in input && 'type' in input && 'length' in input;
}

function isStrings(value: object): value is GGUFStrings {
  return 'bytesAt' in value;
}

/** The item type of an array type. */
function itemType(type: MetadataType): ValueType | undefined {
  return type.endsWith('[]') ? (type.slice(0, -2) as ValueType) : undefined;
}

/** Numbers as `type`, each of which must have that value exactly, save for the rounding of fractions to f32. */
function convert(type: NumberType, values: readonly unknown[]): NumberArray {
  const array = new NUMBER_ARRAYS[type](values.length);
  values.forEach((value, i) => {
    if (!assign(array, i, value)) throw invalid(`${String(value)} is not a value of type ${type}`);
  });
  return array;
}

function assign(array: NumberArray, i: number, value: unknown): boolean {
  if (typeof value !== 'number' && typeof value !== 'bigint') return false;
  if (array instanceof BigUint64Array || array instanceof BigInt64Array) {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) return false;
    array[i] = BigInt(value);
    return array[i] === BigInt(value);
  }
  const number = Number(value);
  array[i] = number;
  if (array instanceof Float32Array) return Number.isFinite(array[i]) || !Number.isFinite(number);
  return array instanceof Float64Array || array[i] === number;
}
