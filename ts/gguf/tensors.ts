import type { HeaderCursor } from './cursor.ts';
import { type GGMLType, ggmlTypes } from './ggml-types.ts';
import { MAX_DIMS, MAX_TENSOR_NAME_BYTES } from './limits.ts';
import { readName } from './metadata.ts';
import { quote } from './report.ts';

/** One tensor of a file: where it lies and what it holds. */
export interface GGUFTensor {
  readonly name: string;
  /** Row-major: the last dimension is contiguous. A weight matrix is [n, k], the reverse of GGUF's own order. */
  readonly shape: readonly number[];
  /** `f32`, `q4_k`, …; `unknown(N)` for a type number that nothing is known of. */
  readonly dtype: string;
  /** The type's number in the file. */
  readonly ggmlType: number;
  /** Index into the file's parts. */
  readonly part: number;
  /** Byte offset of the data in that part. */
  readonly offset: number;
  /** Undefined for an unknown type. */
  readonly byteLength: number | undefined;
}

/** A tensor as its entry describes it, before it was placed in the file. */
interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly ggmlType: number;
  readonly type: GGMLType | undefined;
  /** From the start of the data section. */
  readonly offset: number;
  readonly byteLength: number | undefined;
  /** What it takes at least: `byteLength` where that is known. */
  readonly leastBytes: number;
  /** Where the entry stands, for messages. */
  readonly entryOffset: number;
}

/** Reads `count` tensor entries and the end of the header, and checks that every tensor lies whole within the file. */
export async function readTensors(
  cursor: HeaderCursor,
  count: number,
  alignment: number,
): Promise<{ tensors: readonly GGUFTensor[]; dataOffset: number }> {
  const types = ggmlTypes();
  const entries = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    cursor.reading = `tensor ${i + 1} of ${count}`;
    const entry = await readEntry(cursor, types, alignment);
    if (entries.has(entry.name)) {
      throw cursor.error('ERR_GGUF_INVALID', `the tensor ${quote(entry.name)} is there twice`, entry.entryOffset);
    }
    entries.set(entry.name, entry);
  }
  const dataOffset = Math.ceil(cursor.position / alignment) * alignment;
  checkPlacement(cursor, [...entries.values()], dataOffset);
  const tensors = Array.from(entries.values(), ({ name, shape, ggmlType, type, offset, byteLength }) => ({
    name,
    shape,
    dtype: type?.name ?? `unknown(${ggmlType})`,
    ggmlType,
    part: 0,
    offset: dataOffset + offset,
    byteLength,
  }));
  return { tensors, dataOffset };
}

/** Per element of an unknown type. The smallest of ggml's types, q1_0, takes 1.125. */
const LEAST_BITS = 1;

async function readEntry(
  cursor: HeaderCursor,
  types: ReadonlyMap<number, GGMLType>,
  alignment: number,
): Promise<Entry> {
  const entryOffset = cursor.position;
  const name = await readName(cursor, MAX_TENSOR_NAME_BYTES);
  cursor.reading = `tensor ${quote(name)}`;

  await cursor.need(4);
  const dims = cursor.u32();
  if (dims < 1 || dims > MAX_DIMS) {
    throw cursor.error(
      'ERR_GGUF_INVALID',
      `a tensor has 1 to ${MAX_DIMS} dimensions, not ${dims}`,
      cursor.position - 4,
    );
  }
  await cursor.need(dims * cursor.countBytes + 4 + 8);
  const shape: number[] = [];
  let elements = 1;
  for (let d = 0; d < dims; d++) {
    const start = cursor.position;
    const dim = cursor.count();
    elements *= dim;
    if (dim === 0) throw cursor.error('ERR_GGUF_INVALID', 'a dimension is zero', start);
    if (!Number.isSafeInteger(elements)) {
      throw cursor.error('ERR_GGUF_INVALID', 'the dimensions multiply to more than 2^53 elements', start);
    }
    shape.unshift(dim);
  }

  const typeOffset = cursor.position;
  const ggmlType = cursor.u32();
  const type = types.get(ggmlType);
  const byteLength = type && byteLengthOf(type, shape.at(-1)!, elements);
  if (type && byteLength === undefined) {
    throw cursor.error(
      'ERR_GGUF_INVALID',
      `rows of ${type.name} are whole blocks of ${type.blockSize}, but a row has ${shape.at(-1)} elements`,
      typeOffset,
    );
  }

  const offset = cursor.u64();
  if (offset % alignment !== 0) {
    throw cursor.error('ERR_GGUF_INVALID', `the data offset ${offset} is no multiple of ${alignment}`, typeOffset + 4);
  }
  const leastBytes = byteLength ?? Math.ceil((elements * LEAST_BITS) / 8);
  return { name, shape, ggmlType, type, offset, byteLength, leastBytes, entryOffset };
}

/** Bytes of a tensor; undefined if a row is not a whole number of blocks. */
export function byteLengthOf(type: GGMLType, row: number, elements: number): number | undefined {
  return row % type.blockSize === 0 ? (elements / type.blockSize) * type.blockBytes : undefined;
}

/** Tensors lie in the file and do not overlap. */
function checkPlacement(cursor: HeaderCursor, entries: readonly Entry[], dataOffset: number): void {
  const inOrder = [...entries].sort((a, b) => a.offset - b.offset);
  let previous: Entry | undefined;
  let end = 0;
  for (const entry of inOrder) {
    cursor.reading = `the place of tensor ${quote(entry.name)}`;
    const { offset, leastBytes, entryOffset } = entry;
    if (previous && offset < end) {
      const problem = `its data at ${dataOffset + offset} overlaps that of ${quote(previous.name)}`;
      throw cursor.error('ERR_GGUF_INVALID', `${problem}, which ends at ${dataOffset + end}`, entryOffset);
    }
    previous = entry;
    end = offset + leastBytes;
    if (dataOffset + end > cursor.fileSize) {
      throw cursor.error(
        'ERR_GGUF_TRUNCATED',
        `its data ends at ${dataOffset + end}, but the file has ${cursor.fileSize} bytes: it was cut off (an ` +
          'unfinished download?), or the offset is wrong',
        entryOffset,
      );
    }
  }
}
