/** Metadata value types; the place in the list is the number in the file. */
export const VALUE_TYPES = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const;

export type ValueType = (typeof VALUE_TYPES)[number];
export type NumberType = Exclude<ValueType, 'bool' | 'string' | 'array'>;

/** Type of a metadata value as people write it: `u32`, `string`, `f32[]`; the items of `array[]` are arrays. */
export type MetadataType = Exclude<ValueType, 'array'> | `${ValueType}[]`;

/** The typed array that holds each number type: its element size is the size in the file. */
export const NUMBER_ARRAYS = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as const satisfies Record<NumberType, unknown>;

export type NumberArray = InstanceType<(typeof NUMBER_ARRAYS)[NumberType]>;

export function isNumberType(type: string): type is NumberType {
  return Object.hasOwn(NUMBER_ARRAYS, type);
}

/** The number type that a typed array holds; undefined for anything else. */
export function numberTypeOf(value: unknown): NumberType | undefined {
  for (const [type, arrayClass] of Object.entries(NUMBER_ARRAYS)) {
    if (value instanceof arrayClass) return type as NumberType;
  }
  return undefined;
}

/** Arrays of other things than numbers. Strings and bools stay bytes until they are asked for. */
export interface GGUFList<T> extends Iterable<T> {
  readonly type: 'string' | 'bool' | 'array';
  readonly length: number;
  /** The item at `index`; negative indices count from the end. */
  at(index: number): T | undefined;
  toArray(): T[];
  /** What `JSON.stringify` takes. */
  toJSON(): T[];
}

/** An array of strings, decoded one by one on access. */
export interface GGUFStrings extends GGUFList<string> {
  /**
   * The string's bytes as they stand in the file. Some vocabularies hold tokens that are not valid UTF-8; `at` shows
   * those with U+FFFD in place of the faulty bytes.
   */
  bytesAt(index: number): Uint8Array | undefined;
}

export type MetadataArray = NumberArray | GGUFStrings | GGUFList<boolean> | GGUFList<MetadataArray>;

/** 64-bit integers are numbers where a number is exact, else bigints. */
export type MetadataValue = string | number | bigint | boolean | MetadataArray;

/** Metadata by key, in the order of the file. The object has no prototype, so any key is safe to look up. */
export type Metadata = Readonly<Record<string, MetadataValue>>;
