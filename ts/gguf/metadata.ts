import type { HeaderCursor } from './cursor.ts';
import { MAX_ARRAY_DEPTH, MAX_ARRAY_LENGTH, MAX_KEY_BYTES, MAX_NESTED_ARRAYS, MAX_STRING_BYTES } from './limits.ts';
import { ArrayList, BoolList, StringList } from './lists.ts';
import { quote } from './report.ts';
import {
  isNumberType,
  type Metadata,
  type MetadataArray,
  type MetadataType,
  type MetadataValue,
  NUMBER_ARRAYS,
  type NumberArray,
  type NumberType,
  VALUE_TYPES,
  type ValueType,
} from './value-types.ts';

/** Reads `count` key-value pairs. */
export async function readMetadata(
  cursor: HeaderCursor,
  count: number,
): Promise<{ metadata: Metadata; metadataTypes: Readonly<Record<string, MetadataType>> }> {
  // Without a prototype: "__proto__" is a key like any other.
  const metadata: Record<string, MetadataValue> = Object.create(null);
  const metadataTypes: Record<string, MetadataType> = Object.create(null);
  const nesting = { arrays: 0 };
  for (let i = 0; i < count; i++) {
    cursor.reading = `metadata key ${i + 1} of ${count}`;
    const start = cursor.position;
    const key = await readName(cursor, MAX_KEY_BYTES);
    if (key in metadata) throw cursor.error('ERR_GGUF_INVALID', `the key ${quote(key)} is there twice`, start);

    cursor.reading = `metadata ${quote(key)}`;
    const type = await readType(cursor);
    if (type === 'array') {
      const { value, items } = await readArray(cursor, 1, nesting);
      metadata[key] = value;
      metadataTypes[key] = `${items}[]`;
    } else {
      metadata[key] = await readScalar(cursor, type);
      metadataTypes[key] = type;
    }
  }
  return { metadata, metadataTypes };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads a key or a tensor name: not empty, not longer than `limit` bytes, valid UTF-8. */
export async function readName(cursor: HeaderCursor, limit: number): Promise<string> {
  await cursor.need(cursor.countBytes);
  const start = cursor.position;
  const length = cursor.count();
  if (length === 0) throw cursor.error('ERR_GGUF_INVALID', 'a name must not be empty', start);
  checkRoom(cursor, length, 1, limit, 'bytes of name', start);
  await cursor.need(length);
  const at = cursor.skip(length);
  const bytes = cursor.view(at, length);
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw cursor.error('ERR_GGUF_INVALID', `the name ${quote(bytes.toString())} is not valid UTF-8`, at);
  }
}

/** A count of things is only believed if the rest of the file has room for them and it is within `limit`. */
export function checkRoom(
  cursor: HeaderCursor,
  count: number,
  bytesEach: number,
  limit: number,
  things: string,
  offset: number,
): void {
  if (count * bytesEach > cursor.remaining) {
    throw cursor.error(
      'ERR_GGUF_TRUNCATED',
      `${count} ${things} cannot fit in the ${cursor.remaining} bytes that are left: the file was cut off, or the ` +
        'number is wrong',
      offset,
    );
  }
  if (count > limit) {
    throw cursor.error('ERR_GGUF_LIMIT', `${count} ${things} are more than the ${limit} that are accepted`, offset);
  }
}

async function readType(cursor: HeaderCursor): Promise<ValueType> {
  await cursor.need(4);
  const start = cursor.position;
  const number = cursor.u32();
  const type = VALUE_TYPES[number];
  if (type === undefined) {
    throw cursor.error('ERR_GGUF_INVALID', `${number} is not a metadata type (0 to ${VALUE_TYPES.length - 1})`, start);
  }
  return type;
}

async function readScalar(cursor: HeaderCursor, type: Exclude<ValueType, 'array'>): Promise<MetadataValue> {
  if (type === 'string') return readString(cursor);
  if (type === 'bool') return (await readBools(cursor, 1)).at(0)!;
  const value = (await readNumbers(cursor, type, 1))[0]!;
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

async function readString(cursor: HeaderCursor): Promise<string> {
  await cursor.need(cursor.countBytes);
  const start = cursor.position;
  const length = cursor.count();
  checkRoom(cursor, length, 1, MAX_STRING_BYTES, 'bytes of text', start);
  await cursor.need(length);
  return cursor.view(cursor.skip(length), length).toString('utf8');
}

async function readNumbers(cursor: HeaderCursor, type: NumberType, count: number): Promise<NumberArray> {
  const bytes = count * NUMBER_ARRAYS[type].BYTES_PER_ELEMENT;
  await cursor.need(bytes);
  return new NUMBER_ARRAYS[type](cursor.copy(bytes));
}

async function readBools(cursor: HeaderCursor, count: number): Promise<BoolList> {
  await cursor.need(count);
  const start = cursor.position;
  const bytes = new Uint8Array(cursor.copy(count));
  const wrong = bytes.findIndex((byte) => byte > 1);
  if (wrong >= 0) {
    throw cursor.error('ERR_GGUF_INVALID', `a bool is 0 or 1, not ${bytes[wrong]}`, start + wrong);
  }
  return new BoolList(bytes);
}

async function readStrings(cursor: HeaderCursor, count: number): Promise<StringList> {
  const origin = cursor.position;
  const prefix = cursor.countBytes;
  const starts = new Uint32Array(count + 1);
  for (let i = 0; ; ) {
    i = cursor.scanStrings(starts, i, count, origin, MAX_STRING_BYTES);
    if (i === count) break;
    await cursor.need(prefix);
    const start = cursor.position;
    const length = cursor.count();
    checkRoom(cursor, length, 1, MAX_STRING_BYTES, `bytes of string ${i}`, start);
    await cursor.need(length);
    cursor.position = start;
  }
  const length = cursor.position - origin;
  starts[count] = length + prefix;
  return new StringList(cursor.view(origin, length), starts, prefix);
}

async function readArray(
  cursor: HeaderCursor,
  depth: number,
  nesting: { arrays: number },
): Promise<{ value: MetadataArray; items: ValueType }> {
  if (depth > MAX_ARRAY_DEPTH) {
    throw cursor.error('ERR_GGUF_LIMIT', `arrays are nested more than ${MAX_ARRAY_DEPTH} deep`);
  }
  const items = await readType(cursor);
  await cursor.need(cursor.countBytes);
  const start = cursor.position;
  const count = cursor.count();
  checkRoom(cursor, count, bytesOfItem(cursor, items), MAX_ARRAY_LENGTH, `items of type ${items}`, start);
  return { value: await readItems(cursor, items, count, depth, nesting), items };
}

/** The least that one item takes. */
function bytesOfItem(cursor: HeaderCursor, type: ValueType): number {
  if (isNumberType(type)) return NUMBER_ARRAYS[type].BYTES_PER_ELEMENT;
  if (type === 'bool') return 1;
  return type === 'string' ? cursor.countBytes : 4 + cursor.countBytes;
}

async function readItems(
  cursor: HeaderCursor,
  type: ValueType,
  count: number,
  depth: number,
  nesting: { arrays: number },
): Promise<MetadataArray> {
  if (isNumberType(type)) return readNumbers(cursor, type, count);
  if (type === 'bool') return readBools(cursor, count);
  if (type === 'string') return readStrings(cursor, count);

  nesting.arrays += count;
  if (nesting.arrays > MAX_NESTED_ARRAYS) {
    throw cursor.error('ERR_GGUF_LIMIT', `more than ${MAX_NESTED_ARRAYS} arrays stand inside other arrays`);
  }
  const items: MetadataArray[] = [];
  for (let i = 0; i < count; i++) items.push((await readArray(cursor, depth + 1, nesting)).value);
  return new ArrayList(items);
}
