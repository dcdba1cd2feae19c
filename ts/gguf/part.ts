import { HeaderCursor } from './cursor.ts';
import { DEFAULT_ALIGNMENT, MAX_ALIGNMENT, MAX_METADATA_COUNT, MAX_TENSOR_COUNT, MIN_ALIGNMENT } from './limits.ts';
import { checkRoom, readMetadata } from './metadata.ts';
import { quote } from './report.ts';
import type { ByteSource } from './source.ts';
import { type GGUFTensor, readTensors } from './tensors.ts';
import type { Metadata, MetadataType } from './value-types.ts';

/** One file: a whole model, or one part of a split one. */
export interface GGUFPart {
  readonly path: string;
  /** Size of the file, and of what has to be mapped. */
  readonly byteLength: number;
  /** Where the tensors' data begins. */
  readonly dataOffset: number;
  readonly version: number;
  /** Tensor data lies at multiples of this. */
  readonly alignment: number;
}

export interface ParsedPart {
  readonly part: GGUFPart;
  readonly metadata: Metadata;
  readonly metadataTypes: Readonly<Record<string, MetadataType>>;
  readonly tensors: readonly GGUFTensor[];
}

/** Reads and checks the header of one file. */
export async function readPart(source: ByteSource, signal?: AbortSignal): Promise<ParsedPart> {
  signal?.throwIfAborted();
  const cursor = new HeaderCursor(source, signal);
  await readMagic(cursor);
  const version = await readVersion(cursor);
  if (version === 1) cursor.countBytes = 4;

  // Each in its smallest form: a tensor with a one-letter name and one dimension, a pair with a one-letter key and a u8.
  const tensorBytes = cursor.countBytes + 1 + 4 + cursor.countBytes + 4 + 8;
  const pairBytes = cursor.countBytes + 1 + 4 + 1;
  cursor.reading = 'the tensor count';
  const tensorCount = await readCount(cursor, tensorBytes, MAX_TENSOR_COUNT, 'tensors');
  cursor.reading = 'the metadata count';
  const metadataCount = await readCount(cursor, pairBytes, MAX_METADATA_COUNT, 'metadata pairs');

  const { metadata, metadataTypes } = await readMetadata(cursor, metadataCount);
  const alignment = alignmentOf(cursor, metadata, metadataTypes);
  const { tensors, dataOffset } = await readTensors(cursor, tensorCount, alignment);
  const part = { path: source.name, byteLength: source.size, dataOffset, version, alignment };
  return { part, metadata, metadataTypes, tensors };
}

const MAGIC = 'GGUF';

/** First bytes of files that are often taken for GGUF files. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  vers: 'it may be a Git LFS pointer: `git lfs pull` fetches the file itself',
  '<!do': 'it is a web page, not the file that was linked there',
  lmgg: 'it is a GGML file from before GGUF: convert it',
  fmgg: 'it is a GGMF file from before GGUF: convert it',
  tjgg: 'it is a GGJT file from before GGUF: convert it',
};

async function readMagic(cursor: HeaderCursor): Promise<void> {
  cursor.reading = 'the magic number';
  await cursor.need(4);
  const magic = cursor.view(cursor.skip(4), 4).toString('latin1');
  if (magic !== MAGIC) {
    const hint = LOOKALIKES[magic.toLowerCase()] ?? `it begins with ${quote(magic)}, not "${MAGIC}"`;
    throw cursor.error('ERR_GGUF_INVALID', `this is not a GGUF file; ${hint}`, 0);
  }
}

async function readVersion(cursor: HeaderCursor): Promise<number> {
  cursor.reading = 'the version';
  await cursor.need(4);
  const version = cursor.u32();
  const fail = (problem: string) => cursor.error('ERR_GGUF_UNSUPPORTED', problem, 4);
  // Small version numbers of big-endian files have their low 16 bits zero when read as little-endian.
  if (version !== 0 && (version & 0xffff) === 0) {
    throw fail('the file is big-endian; only little-endian files are read, so convert it to that');
  }
  if (version > 3) throw fail(`GGUF version ${version} is newer than the versions 1 to 3 that are read`);
  if (version === 0) throw cursor.error('ERR_GGUF_INVALID', 'there is no GGUF version 0', 4);
  return version;
}

async function readCount(cursor: HeaderCursor, bytesEach: number, limit: number, things: string): Promise<number> {
  await cursor.need(cursor.countBytes);
  const start = cursor.position;
  const count = cursor.count();
  checkRoom(cursor, count, bytesEach, limit, things, start);
  return count;
}

function alignmentOf(cursor: HeaderCursor, metadata: Metadata, types: Readonly<Record<string, MetadataType>>): number {
  const key = 'general.alignment';
  const alignment = metadata[key];
  if (alignment === undefined) return DEFAULT_ALIGNMENT;
  cursor.reading = `metadata "${key}"`;
  if (types[key] !== 'u32' || typeof alignment !== 'number') {
    throw cursor.error('ERR_GGUF_INVALID', `the alignment must be of type u32, not ${types[key]}`);
  }
  if (alignment < MIN_ALIGNMENT || !Number.isInteger(Math.log2(alignment))) {
    const problem = `the alignment must be a power of two of at least ${MIN_ALIGNMENT}, not ${alignment}`;
    throw cursor.error('ERR_GGUF_INVALID', problem);
  }
  if (alignment > MAX_ALIGNMENT) {
    throw cursor.error('ERR_GGUF_LIMIT', `an alignment of ${alignment} is more than the ${MAX_ALIGNMENT} accepted`);
  }
  return alignment;
}
