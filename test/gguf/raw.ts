// Builds GGUF bytes by hand, right or wrong, and reads them from memory.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type ErrorCode, TilewrightError } from '../../ts/errors.ts';
import { GGUFFile } from '../../ts/gguf/file.ts';
import { readPart } from '../../ts/gguf/part.ts';
import { memorySource } from '../../ts/gguf/source.ts';
import { VALUE_TYPES, type ValueType } from '../../ts/gguf/value-types.ts';

export const u8 = (value: number) => Buffer.of(value);
export const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
export const u64 = (value: number | bigint) => Buffer.from(BigUint64Array.of(BigInt.asUintN(64, BigInt(value))).buffer);
export const f32 = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
export const str = (text: string | Uint8Array) => Buffer.concat([u64(Buffer.from(text).length), Buffer.from(text)]);
export const type = (name: ValueType) => u32(VALUE_TYPES.indexOf(name));
export const array = (items: ValueType, count: number | bigint, ...bytes: Uint8Array[]) =>
  Buffer.concat([type(items), u64(count), ...bytes]);
export const pair = (key: string | Uint8Array, valueType: ValueType, ...value: Uint8Array[]) =>
  Buffer.concat([str(key), type(valueType), ...value]);

export interface RawTensor {
  name?: string | Uint8Array;
  /** In GGUF's order: the contiguous dimension first. */
  dims?: readonly (number | bigint)[];
  ggmlType?: number;
  offset?: number | bigint;
}

export const entry = ({ name = 't', dims = [8], ggmlType = 0, offset = 0 }: RawTensor = {}) =>
  Buffer.concat([str(name), u32(dims.length), ...dims.map(u64), u32(ggmlType), u64(offset)]);

export interface RawFile {
  magic?: string;
  version?: number;
  tensorCount?: number | bigint;
  pairCount?: number | bigint;
  pairs?: readonly Uint8Array[];
  tensors?: readonly Uint8Array[];
  /** Bytes of the data section; 32 fit the default tensor. */
  data?: number;
  alignment?: number;
}

export function rawFile(file: RawFile = {}): Buffer {
  const { magic = 'GGUF', version = 3, pairs = [], tensors = [], data = 0, alignment = 32 } = file;
  const { tensorCount = tensors.length, pairCount = pairs.length } = file;
  const counts = [u64(tensorCount), u64(pairCount)];
  const header = Buffer.concat([Buffer.from(magic), u32(version), ...counts, ...pairs, ...tensors]);
  const padding = data === 0 ? 0 : Math.ceil(header.length / alignment) * alignment - header.length;
  return Buffer.concat([header, Buffer.alloc(padding + data)]);
}

export async function parse(bytes: Uint8Array, signal?: AbortSignal): Promise<GGUFFile> {
  return new GGUFFile([await readPart(memorySource('test.gguf', bytes), signal)]);
}

/** The error that `action` fails with, which must be a TilewrightError of that code. */
export async function failure(action: Promise<unknown>, ...codes: ErrorCode[]): Promise<TilewrightError> {
  try {
    await action;
  } catch (error) {
    if (error instanceof TilewrightError && codes.includes(error.code)) return error;
    throw error;
  }
  throw new Error(`succeeded instead of failing with ${codes.join(' or ')}`);
}

/** A folder that is gone after the test file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tilewright-gguf-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
