import type { GGUFList, GGUFStrings, MetadataArray } from './value-types.ts';

abstract class List<T> implements GGUFList<T> {
  abstract readonly type: 'string' | 'bool' | 'array';
  abstract readonly length: number;
  protected abstract item(index: number): T;

  at(index: number): T | undefined {
    const i = resolveIndex(index, this.length);
    return i === undefined ? undefined : this.item(i);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.item(i);
  }

  toArray(): T[] {
    return Array.from({ length: this.length }, (_, i) => this.item(i));
  }

  toJSON(): T[] {
    return this.toArray();
  }
}

function resolveIndex(index: number, length: number): number | undefined {
  const i = Math.trunc(index) + (index < 0 ? length : 0);
  return i >= 0 && i < length ? i : undefined;
}

/** Strings of one array as they stand in the file: each preceded by its length. */
export class StringList extends List<string> implements GGUFStrings {
  readonly type = 'string';
  readonly length: number;
  readonly #bytes: Buffer;
  readonly #starts: Uint32Array;
  readonly #prefix: number;

  /** `starts` has one entry more than there are strings; text i ends where the length before text i + 1 begins. */
  constructor(bytes: Buffer, starts: Uint32Array, prefix: number) {
    super();
    this.#bytes = bytes;
    this.#starts = starts;
    this.#prefix = prefix;
    this.length = starts.length - 1;
  }

  bytesAt(index: number): Uint8Array | undefined {
    const i = resolveIndex(index, this.length);
    return i === undefined ? undefined : new Uint8Array(this.#bytes.subarray(this.#starts[i], this.#end(i)));
  }

  protected override item(index: number): string {
    return this.#bytes.toString('utf8', this.#starts[index], this.#end(index));
  }

  #end(index: number): number {
    return this.#starts[index + 1]! - this.#prefix;
  }
}

/** Bools of one array: one byte each, 0 or 1. */
export class BoolList extends List<boolean> {
  readonly type = 'bool';
  readonly length: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
    this.length = bytes.length;
  }

  protected override item(index: number): boolean {
    return this.#bytes[index] === 1;
  }
}

/** An array of arrays. */
export class ArrayList extends List<MetadataArray> {
  readonly type = 'array';
  readonly length: number;
  readonly #items: readonly MetadataArray[];

  constructor(items: readonly MetadataArray[]) {
    super();
    this.#items = items;
    this.length = items.length;
  }

  protected override item(index: number): MetadataArray {
    return this.#items[index]!;
  }
}
