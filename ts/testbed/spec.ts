import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { TilewrightError } from '../errors.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../tensor/half.ts';
import type { Order, Triple } from './dispatch.ts';

/** What to run a kernel on: the contents of `--run spec.json`, described in docs/test-bed.md. */
export interface RunSpec {
  readonly name: string;
  readonly kernel: string;
  readonly constants: Readonly<Record<string, number | boolean>>;
  readonly grid: Triple;
  readonly gridInThreads: boolean;
  readonly group: Triple;
  readonly threadgroupMemory: readonly number[];
  readonly buffers: Readonly<Record<string, BufferSpec>>;
  readonly orders: readonly Order[];
  readonly timeout: number;
}

export interface BufferSpec {
  /** Input bytes, or the size of an output. */
  readonly data: Uint8Array | { readonly bytes: number };
  readonly type: ScalarName;
  readonly mustWrite: boolean;
  readonly sameAs?: string;
  /** Byte offset at which it is bound. */
  readonly offset: number;
  readonly expect?: { readonly values: readonly number[]; readonly absolute: number; readonly relative: number };
  /** The result may depend on the order of threads (atomic additions of floats). */
  readonly unordered: boolean;
}

export const SCALARS = {
  char: 1,
  uchar: 1,
  short: 2,
  ushort: 2,
  half: 2,
  bfloat: 2,
  int: 4,
  uint: 4,
  float: 4,
  long: 8,
  ulong: 8,
} as const;
export type ScalarName = keyof typeof SCALARS;

/** Largest buffer that a spec may ask for: the arena's limit. */
const MAX_BYTES = 2 ** 31;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export async function readSpec(path: string): Promise<RunSpec[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TilewrightError('ERR_FILE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch (cause) {
    throw new TilewrightError('ERR_USAGE', `${path} is no JSON: ${(cause as Error).message}`, { cause });
  }
  const reader = new SpecReader(path);
  const runs = reader.array(reader.object(json, 'the file', ['runs']).runs, 'runs');
  if (runs.length === 0) reader.fail('runs', 'is empty');
  return Promise.all(runs.map((run, i) => reader.run(run, `runs[${i}]`)));
}

class SpecReader {
  readonly #path: string;
  constructor(path: string) {
    this.#path = path;
  }

  fail(where: string, problem: string): never {
    throw new TilewrightError('ERR_USAGE', `${this.#path}: ${where} ${problem}.`);
  }

  object(json: Json | undefined, where: string, keys?: readonly string[]): { readonly [key: string]: Json } {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) this.fail(where, 'is not an object');
    const object = json as { readonly [key: string]: Json };
    for (const key of Object.keys(object)) {
      if (keys !== undefined && !keys.includes(key))
        this.fail(where, `has the unknown key "${key}"; known are ${keys.join(', ')}`);
    }
    return object;
  }

  array(json: Json | undefined, where: string): readonly Json[] {
    return Array.isArray(json) ? (json as readonly Json[]) : this.fail(where, 'is not an array');
  }

  string(json: Json | undefined, where: string): string {
    return typeof json === 'string' && json !== '' ? json : this.fail(where, 'is not a string');
  }

  number(json: Json | undefined, where: string): number {
    return typeof json === 'number' ? json : this.fail(where, 'is not a number');
  }

  count(json: Json | undefined, where: string): number {
    const value = this.number(json, where);
    return Number.isInteger(value) && value >= 0 && value <= MAX_BYTES ? value : this.fail(where, 'is not a count');
  }

  triple(json: Json | undefined, where: string): Triple {
    const values = typeof json === 'number' ? [json] : this.array(json, where);
    if (values.length < 1 || values.length > 3) this.fail(where, 'does not have one to three numbers');
    const at = (i: number) => (i < values.length ? this.count(values[i], `${where}[${i}]`) : 1);
    return [at(0), at(1), at(2)];
  }

  async run(json: Json, where: string): Promise<RunSpec> {
    const o = this.object(json, where, [
      'name',
      'kernel',
      'constants',
      'grid',
      'group',
      'threadgroupMemory',
      'buffers',
      'orders',
      'timeout',
    ]);
    const kernel = this.string(o.kernel, `${where}.kernel`);
    const grid = this.object(o.grid, `${where}.grid`, ['threadgroups', 'threads']);
    const inThreads = grid.threads !== undefined;
    if (inThreads === (grid.threadgroups !== undefined))
      this.fail(`${where}.grid`, 'needs either "threadgroups" or "threads"');
    const buffers: Record<string, BufferSpec> = {};
    for (const [name, buffer] of Object.entries(this.object(o.buffers ?? {}, `${where}.buffers`))) {
      buffers[name] = await this.buffer(buffer, `${where}.buffers.${name}`);
    }
    return {
      name: o.name === undefined ? kernel : this.string(o.name, `${where}.name`),
      kernel,
      constants: this.#constants(o.constants, `${where}.constants`),
      grid: this.triple(inThreads ? grid.threads : grid.threadgroups, `${where}.grid`),
      gridInThreads: inThreads,
      group: this.triple(o.group, `${where}.group`),
      threadgroupMemory: this.array(o.threadgroupMemory ?? [], `${where}.threadgroupMemory`).map((n, i) =>
        this.count(n, `${where}.threadgroupMemory[${i}]`),
      ),
      buffers,
      orders: this.#orders(o.orders, `${where}.orders`),
      timeout: o.timeout === undefined ? 60 : this.count(o.timeout, `${where}.timeout`),
    };
  }

  #constants(json: Json | undefined, where: string): Record<string, number | boolean> {
    const out: Record<string, number | boolean> = {};
    for (const [name, value] of Object.entries(this.object(json ?? {}, where))) {
      if (typeof value !== 'number' && typeof value !== 'boolean')
        this.fail(`${where}.${name}`, 'is no number and no boolean');
      out[name] = value as number | boolean;
    }
    return out;
  }

  #orders(json: Json | undefined, where: string): Order[] {
    if (json === undefined) return ['forward', 'reverse', { random: 1 }];
    return this.array(json, where).map((order, i) => {
      if (order === 'forward' || order === 'reverse') return order;
      return { random: this.count(this.object(order, `${where}[${i}]`, ['random']).random, `${where}[${i}].random`) };
    });
  }

  async buffer(json: Json, where: string): Promise<BufferSpec> {
    const o = this.object(json, where, [
      'type',
      'count',
      'values',
      'fields',
      'random',
      'value',
      'file',
      'output',
      'mustWrite',
      'sameAs',
      'offset',
      'expect',
      'unordered',
    ]);
    const type = o.type === undefined && o.fields !== undefined ? 'uchar' : this.string(o.type, `${where}.type`);
    if (!Object.hasOwn(SCALARS, type))
      this.fail(`${where}.type`, `is "${type}"; known are ${Object.keys(SCALARS).join(', ')}`);
    const scalar = type as ScalarName;
    const output = o.output === true;
    const data = await this.#data(o, scalar, output, where);
    let expect: BufferSpec['expect'];
    if (o.expect !== undefined) {
      const e = this.object(o.expect, `${where}.expect`, ['values', 'file', 'absolute', 'relative']);
      const values =
        e.file === undefined
          ? this.array(e.values, `${where}.expect.values`).map((v, i) => this.number(v, `${where}.expect.values[${i}]`))
          : decode(await this.#file(e.file, `${where}.expect.file`), scalar);
      expect = {
        values,
        absolute: this.number(e.absolute ?? 0, `${where}.expect.absolute`),
        relative: this.number(e.relative ?? 0, `${where}.expect.relative`),
      };
    }
    return {
      data,
      type: scalar,
      mustWrite: o.mustWrite === undefined ? output : o.mustWrite === true,
      unordered: o.unordered === true,
      offset: this.count(o.offset ?? 0, `${where}.offset`),
      ...(o.sameAs !== undefined && { sameAs: this.string(o.sameAs, `${where}.sameAs`) }),
      ...(expect !== undefined && { expect }),
    };
  }

  async #data(
    o: { readonly [key: string]: Json },
    type: ScalarName,
    output: boolean,
    where: string,
  ): Promise<BufferSpec['data']> {
    if (o.values !== undefined)
      return encode(
        this.array(o.values, `${where}.values`).map((v, i) => this.number(v, `${where}.values[${i}]`)),
        type,
      );
    if (o.file !== undefined) return this.#file(o.file, `${where}.file`);
    if (o.fields !== undefined) return this.#fields(o.fields, `${where}.fields`);
    if (o.sameAs !== undefined) return { bytes: 0 };
    const count = this.count(o.count, `${where}.count`);
    if (count * SCALARS[type] > MAX_BYTES) this.fail(`${where}.count`, 'is more than 2 GB');
    if (output) return { bytes: count * SCALARS[type] };
    if (o.random !== undefined) {
      const r = this.object(o.random, `${where}.random`, ['seed', 'from', 'to']);
      const from = this.number(r.from ?? -1, `${where}.random.from`);
      const to = this.number(r.to ?? 1, `${where}.random.to`);
      const next = randomSource(this.count(r.seed ?? 1, `${where}.random.seed`));
      return encode(
        Array.from({ length: count }, () => from + (to - from) * next()),
        type,
      );
    }
    return encode(new Array<number>(count).fill(this.number(o.value ?? 0, `${where}.value`)), type);
  }

  /** Fields of a struct, each at its natural alignment, as C lays them out. */
  #fields(json: Json, where: string): Uint8Array {
    const parts: { type: ScalarName; value: number; offset: number }[] = [];
    let offset = 0;
    let alignment = 1;
    this.array(json, where).forEach((field, i) => {
      const [type, value] = this.array(field, `${where}[${i}]`);
      if (typeof type !== 'string' || !Object.hasOwn(SCALARS, type))
        this.fail(`${where}[${i}]`, 'is not ["type", value]');
      const size = SCALARS[type as ScalarName];
      offset = Math.ceil(offset / size) * size;
      alignment = Math.max(alignment, size);
      parts.push({ type: type as ScalarName, value: this.number(value, `${where}[${i}]`), offset });
      offset += size;
    });
    const bytes = new Uint8Array(Math.ceil(offset / alignment) * alignment);
    for (const { type, value, offset: at } of parts) bytes.set(encode([value], type), at);
    return bytes;
  }

  async #file(json: Json, where: string): Promise<Uint8Array> {
    const path = resolve(dirname(this.#path), this.string(json, where));
    try {
      return new Uint8Array(await readFile(path));
    } catch (cause) {
      throw new TilewrightError('ERR_FILE', `${path} cannot be read: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Mulberry32: small, and the same numbers everywhere. */
export function randomSource(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function encode(values: readonly number[], type: ScalarName): Uint8Array {
  const size = SCALARS[type];
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    const at = i * size;
    if (type === 'float') view.setFloat32(at, value, true);
    else if (type === 'half') view.setUint16(at, f32ToF16(value), true);
    else if (type === 'bfloat') view.setUint16(at, f32ToBf16(value), true);
    else if (size === 1) view.setInt8(at, value);
    else if (size === 2) view.setInt16(at, value, true);
    else if (size === 4) view.setInt32(at, value, true);
    else view.setBigInt64(at, BigInt(Math.trunc(value)), true);
  });
  return bytes;
}

export function decode(bytes: Uint8Array, type: ScalarName): number[] {
  const size = SCALARS[type];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read: Record<ScalarName, (at: number) => number> = {
    char: (at) => view.getInt8(at),
    uchar: (at) => view.getUint8(at),
    short: (at) => view.getInt16(at, true),
    ushort: (at) => view.getUint16(at, true),
    half: (at) => f16ToF32(view.getUint16(at, true)),
    bfloat: (at) => bf16ToF32(view.getUint16(at, true)),
    int: (at) => view.getInt32(at, true),
    uint: (at) => view.getUint32(at, true),
    float: (at) => view.getFloat32(at, true),
    long: (at) => Number(view.getBigInt64(at, true)),
    ulong: (at) => Number(view.getBigUint64(at, true)),
  };
  return Array.from({ length: Math.floor(bytes.byteLength / size) }, (_, i) => read[type](i * size));
}
