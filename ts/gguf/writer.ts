import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { TilewrightError } from '../errors.ts';
import { bytesOf, HeaderEncoder, invalid, type MetadataInput, type TypedValue } from './encode.ts';
import { GGUFFile } from './file.ts';
import { ggmlTypes } from './ggml-types.ts';
import { DEFAULT_ALIGNMENT, MAX_ALIGNMENT } from './limits.ts';
import { readPart } from './part.ts';
import { quote } from './report.ts';
import { fileError, memorySource } from './source.ts';
import { byteLengthOf } from './tensors.ts';

/** A tensor's data: all of it, or pieces that are written as they come. */
export type TensorData = ArrayBufferView | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface TensorInput {
  readonly name: string;
  /** Row-major, as everywhere in tilewright: a weight matrix is [n, k]. */
  readonly shape: readonly number[];
  /** Name of a dtype or of a quantization format: `f32`, `q4_k`, …, or one that a plug-in has registered. */
  readonly dtype: string;
  readonly data: TensorData;
}

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, MetadataInput>> | Iterable<readonly [string, MetadataInput]>;
  readonly tensors?: Iterable<TensorInput>;
  /** A power of two of at least 8. Defaults to `general.alignment` of the metadata, else 32. */
  readonly alignment?: number;
  /** Defaults to 3. */
  readonly version?: 1 | 2 | 3;
  readonly signal?: AbortSignal;
}

/**
 * Writes a GGUF file. The file appears at `path` only once it is whole. The header is read back before anything is
 * written, so what this function accepts, {@link readGGUFHeader} accepts.
 *
 * @returns what {@link readGGUFHeader} would return for the file.
 * @throws ERR_INVALID_ARGUMENT if the input makes no valid file.
 * @throws ERR_FILE if the file cannot be written.
 */
export async function writeGGUF(path: string, options: WriteOptions): Promise<GGUFFile> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { header, tensors, alignment } = encodeHeader(options);
  const dataOffset = roundUp(header.length, alignment);
  const dataLength = tensors.reduce((sum, { byteLength }) => sum + roundUp(byteLength, alignment), 0);
  const size = tensors.length === 0 ? header.length : dataOffset + dataLength;
  const file = await readBack(path, header, size);

  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, header, dataOffset, tensors, alignment, signal);
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    // What a tensor's data throws while it is produced is its own; the file system's errors name a system call.
    throw cause instanceof Error && 'syscall' in cause ? fileError('write', path, cause) : cause;
  }
  return file;
}

/** A file's metadata with its types, as the writer takes it: writing it again gives the same bytes. */
export function typedMetadata(file: Pick<GGUFFile, 'metadata' | 'metadataTypes'>): [string, TypedValue][] {
  return Object.entries(file.metadata).map(([key, value]) => [
    key,
    { type: file.metadataTypes[key], value } as TypedValue,
  ]);
}

interface PlacedTensor {
  readonly name: string;
  readonly byteLength: number;
  readonly data: TensorData;
}

function encodeHeader(options: WriteOptions): {
  header: Buffer;
  tensors: readonly PlacedTensor[];
  alignment: number;
} {
  const { version = 3, tensors = [] } = options;
  if (version !== 1 && version !== 2 && version !== 3) throw invalid(`there is no version ${version}, only 1, 2 and 3`);
  const { metadata, alignment } = withAlignment(options);
  const entries = [...tensors];

  const header = new HeaderEncoder(version === 1 ? 4 : 8);
  header.bytes(Buffer.from('GGUF'));
  header.u32(version);
  header.count(entries.length);
  header.count(metadata.length);
  for (const [key, value] of metadata) {
    header.string(key);
    header.value(value);
  }
  let offset = 0;
  const placed = entries.map(({ name, shape, dtype, data }): PlacedTensor => {
    const { number, byteLength } = sizeOf(name, shape, dtype);
    header.string(name);
    header.u32(shape.length);
    for (const dim of [...shape].reverse()) header.count(dim);
    header.u32(number);
    header.u64(offset);
    offset += roundUp(byteLength, alignment);
    return { name, byteLength, data };
  });
  return { header: header.finish(), tensors: placed, alignment };
}

/** The metadata as a list, with the alignment in it wherever it is not the default. */
function withAlignment(options: WriteOptions): {
  metadata: readonly (readonly [string, MetadataInput])[];
  alignment: number;
} {
  const key = 'general.alignment';
  const { metadata: given = {} } = options;
  const metadata: (readonly [string, MetadataInput])[] =
    Symbol.iterator in given ? [...given] : Object.entries(given as Readonly<Record<string, MetadataInput>>);
  const stated = metadata.find(([name]) => name === key)?.[1];
  const statedNumber = typeof stated === 'object' && stated !== null && 'value' in stated ? stated.value : stated;
  const alignment = options.alignment ?? statedNumber ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || !(alignment >= 1 && alignment <= MAX_ALIGNMENT)) {
    throw invalid(`the alignment must be a number from 8 to ${MAX_ALIGNMENT}`);
  }
  if (stated === undefined && alignment !== DEFAULT_ALIGNMENT) metadata.push([key, { type: 'u32', value: alignment }]);
  if (stated !== undefined && statedNumber !== alignment) {
    throw invalid(`the alignment is ${alignment}, but the metadata says ${String(statedNumber)}`);
  }
  return { metadata, alignment };
}

function sizeOf(name: string, shape: readonly number[], dtype: string): { number: number; byteLength: number } {
  const tensor = `tensor ${quote(String(name))}`;
  for (const [number, type] of ggmlTypes()) {
    if (type.name !== dtype) continue;
    if (!shape.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
      throw invalid(`${tensor} has the shape [${shape.join(', ')}]; dimensions are positive whole numbers`);
    }
    const elements = shape.reduce((product, dim) => product * dim, 1);
    const byteLength = byteLengthOf(type, shape.at(-1) ?? 1, elements);
    if (byteLength !== undefined) return { number, byteLength };
    throw invalid(`${tensor} has rows of ${shape.at(-1)}, but ${dtype} has whole blocks of ${type.blockSize}`);
  }
  throw invalid(`${tensor} has the type ${quote(String(dtype))}, which GGUF has no number for`);
}

async function readBack(path: string, header: Buffer, size: number): Promise<GGUFFile> {
  try {
    return new GGUFFile([await readPart(memorySource(path, header, size))]);
  } catch (cause) {
    if (!(cause instanceof TilewrightError)) throw cause;
    throw new TilewrightError(
      'ERR_INVALID_ARGUMENT',
      `Cannot write a GGUF file that no reader accepts. ${cause.message}`,
      {
        cause,
        details: cause.details,
      },
    );
  }
}

async function writeFile(
  path: string,
  header: Buffer,
  dataOffset: number,
  tensors: readonly PlacedTensor[],
  alignment: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await using handle = await open(path, 'wx');
  await writeAll(handle, header, signal);
  if (tensors.length > 0) await writeAll(handle, Buffer.alloc(dataOffset - header.length), signal);
  for (const { name, byteLength, data } of tensors) {
    let written = 0;
    for await (const piece of ArrayBuffer.isView(data) ? [data] : data) {
      if (!ArrayBuffer.isView(piece)) throw invalid(`a piece of the data of tensor ${quote(name)} is not bytes`);
      written += piece.byteLength;
      if (written > byteLength) break;
      await writeAll(handle, bytesOf(piece), signal);
    }
    if (written !== byteLength) {
      const given = written > byteLength ? 'more' : `only ${written}`;
      throw invalid(`tensor ${quote(name)} takes ${byteLength} bytes, but its data has ${given}`);
    }
    await writeAll(handle, Buffer.alloc(roundUp(byteLength, alignment) - byteLength), signal);
  }
  // The name must not point to a file whose data never reached the disk.
  await handle.sync();
}

/** One write call takes less than 2 GiB; smaller pieces let an abort through. */
const WRITE_CHUNK_BYTES = 16 * 2 ** 20;

async function writeAll(handle: FileHandle, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
  for (let start = 0; start < bytes.length; ) {
    signal?.throwIfAborted();
    const { bytesWritten } = await handle.write(bytes, start, Math.min(WRITE_CHUNK_BYTES, bytes.length - start));
    start += bytesWritten;
  }
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
