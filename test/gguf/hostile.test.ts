import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../ts/errors.ts';
import { readGGUFHeader } from '../../ts/gguf/index.ts';
import * as limits from '../../ts/gguf/limits.ts';
import { readPart } from '../../ts/gguf/part.ts';
import { memorySource } from '../../ts/gguf/source.ts';
import { VALUE_TYPES } from '../../ts/gguf/value-types.ts';
import { array, entry, failure, pair, parse, rawFile, str, temporaryFolder, u8, u32, u64 } from './raw.ts';

const folder = await temporaryFolder();
const tensor = (raw: Parameters<typeof entry>[0], data = 32) => rawFile({ tensors: [entry(raw)], data });
const key = (...value: Parameters<typeof pair>) => rawFile({ pairs: [pair(...value)] });

/** What is wrong, the bytes, the code, and what the message must say. */
const cases: readonly (readonly [string, Uint8Array, ErrorCode, string])[] = [
  ['an empty file', new Uint8Array(), 'ERR_GGUF_TRUNCATED', 'reading the magic number, byte 0'],
  ['another kind of file', Buffer.alloc(64, 'PK'), 'ERR_GGUF_INVALID', 'begins with "PKPK"'],
  ['a Git LFS pointer', Buffer.from('version https://git-lfs'), 'ERR_GGUF_INVALID', 'git lfs pull'],
  ['a web page', Buffer.from('<!DOCTYPE html>'), 'ERR_GGUF_INVALID', 'web page'],
  ['a format before GGUF', Buffer.from('tjgg\x03\0\0\0'), 'ERR_GGUF_INVALID', 'GGJT'],
  ['version 0', rawFile({ version: 0 }), 'ERR_GGUF_INVALID', 'no GGUF version 0'],
  ['a newer version', rawFile({ version: 4 }), 'ERR_GGUF_UNSUPPORTED', 'version 4'],
  ['big-endian', rawFile({ version: 0x03000000 }), 'ERR_GGUF_UNSUPPORTED', 'big-endian'],
  ['more tensors than fit', rawFile({ tensorCount: 2n ** 40n }), 'ERR_GGUF_TRUNCATED', '1099511627776 tensors'],
  ['more pairs than fit', rawFile({ pairCount: 2n ** 64n - 1n }), 'ERR_GGUF_TRUNCATED', 'the metadata count'],
  ['an empty key', key('', 'u64', u64(1)), 'ERR_GGUF_INVALID', 'must not be empty'],
  ['a key that is not UTF-8', key(Uint8Array.of(0x66, 0xff), 'u8', u8(1)), 'ERR_GGUF_INVALID', 'not valid UTF-8'],
  ['an overlong key', key('k'.repeat(65_536), 'u8', u8(1)), 'ERR_GGUF_LIMIT', '65536 bytes of name'],
  [
    'a key twice',
    rawFile({ pairs: [pair('same', 'u8', u8(1)), pair('same', 'i8', u8(2))] }),
    'ERR_GGUF_INVALID',
    '"same" is there twice (reading metadata key 2 of 2, byte 41)',
  ],
  [
    'an unknown type',
    rawFile({ pairs: [Buffer.concat([str('k'), u32(13), u64(0)])] }),
    'ERR_GGUF_INVALID',
    '13 is not',
  ],
  ['a bool of 2', key('k', 'bool', u8(2)), 'ERR_GGUF_INVALID', 'not 2 (reading metadata "k", byte 37)'],
  ['a bool of 255 in an array', key('k', 'array', array('bool', 2, u8(1), u8(255))), 'ERR_GGUF_INVALID', 'byte 50'],
  ['a string that is too long', key('k', 'string', u64(9), u32(0)), 'ERR_GGUF_TRUNCATED', '9 bytes of text'],
  ['a string of 2^64 - 1', key('k', 'string', u64(-1), u32(0)), 'ERR_GGUF_TRUNCATED', 'bytes of text'],
  [
    'a string in an array that is too long',
    key('k', 'array', array('string', 2, str('ab'), u64(2 ** 33))),
    'ERR_GGUF_TRUNCATED',
    'bytes of string 1',
  ],
  ['an array of an unknown type', key('k', 'array', u32(77), u64(0)), 'ERR_GGUF_INVALID', '77 is not'],
  ['an alignment of another type', key('general.alignment', 'u64', u64(32)), 'ERR_GGUF_INVALID', 'u32, not u64'],
  ['an alignment of 0', key('general.alignment', 'u32', u32(0)), 'ERR_GGUF_INVALID', 'not 0'],
  ['an alignment of 48', key('general.alignment', 'u32', u32(48)), 'ERR_GGUF_INVALID', 'power of two'],
  ['an alignment of 4', key('general.alignment', 'u32', u32(4)), 'ERR_GGUF_INVALID', 'at least 8'],
  ['an alignment of 2^31', key('general.alignment', 'u32', u32(2 ** 31)), 'ERR_GGUF_LIMIT', '2147483648'],
  ['a tensor without a name', tensor({ name: '' }), 'ERR_GGUF_INVALID', 'reading tensor 1 of 1'],
  [
    'a tensor name that is not UTF-8',
    tensor({ name: Uint8Array.of(0xc0, 0x80) }),
    'ERR_GGUF_INVALID',
    'not valid UTF-8',
  ],
  ['an overlong tensor name', tensor({ name: 'n'.repeat(256) }), 'ERR_GGUF_LIMIT', '256 bytes of name'],
  ['a tensor without dimensions', tensor({ dims: [] }), 'ERR_GGUF_INVALID', 'not 0'],
  ['five dimensions', tensor({ dims: [1, 1, 1, 1, 1] }), 'ERR_GGUF_INVALID', 'not 5'],
  ['a dimension of zero', tensor({ dims: [8, 0] }), 'ERR_GGUF_INVALID', 'a dimension is zero'],
  ['a dimension of 2^64 - 1', tensor({ dims: [-1] }), 'ERR_GGUF_INVALID', '2^53'],
  ['dimensions that overflow', tensor({ dims: [2 ** 31, 2 ** 31, 4] }), 'ERR_GGUF_INVALID', '2^53'],
  ['dimensions that wrap to few elements', tensor({ dims: [2n ** 32n, 2n ** 32n] }), 'ERR_GGUF_INVALID', '2^53'],
  ['rows of broken blocks', tensor({ dims: [33], ggmlType: 2 }), 'ERR_GGUF_INVALID', 'whole blocks of 32'],
  ['a misaligned offset', tensor({ offset: 8 }, 64), 'ERR_GGUF_INVALID', '8 is no multiple of 32'],
  ['an offset beyond the file', tensor({ offset: 64 }), 'ERR_GGUF_TRUNCATED', 'the place of tensor "t"'],
  ['an offset of 2^64 - 32', tensor({ offset: -32 }), 'ERR_GGUF_TRUNCATED', 'the place of tensor "t"'],
  ['an unknown type beyond the file', tensor({ ggmlType: 99, offset: 32 }), 'ERR_GGUF_TRUNCATED', 'was cut off'],
  ['an unknown type of 2^40 elements', tensor({ ggmlType: 99, dims: [2 ** 40] }), 'ERR_GGUF_TRUNCATED', 'was cut off'],
  ['a size near 2^56', tensor({ dims: [2 ** 52], ggmlType: 28 }), 'ERR_GGUF_TRUNCATED', 'was cut off'],
  [
    'a tensor twice',
    rawFile({ tensors: [entry(), entry({ offset: 32 })], data: 64 }),
    'ERR_GGUF_INVALID',
    '"t" is there twice',
  ],
  [
    'tensors that overlap',
    rawFile({ tensors: [entry({ name: 'a', dims: [16] }), entry({ name: 'b', offset: 32 })], data: 64 }),
    'ERR_GGUF_INVALID',
    'overlaps that of "a"',
  ],
  [
    'tensors at one place',
    rawFile({ tensors: [entry({ name: 'a' }), entry({ name: 'b' })], data: 32 }),
    'ERR_GGUF_INVALID',
    'overlaps that of "a"',
  ],
  [
    'a tensor within one of unknown type',
    rawFile({ tensors: [entry({ name: 'a', ggmlType: 99 }), entry({ name: 'b' })], data: 32 }),
    'ERR_GGUF_INVALID',
    'overlaps that of "a"',
  ],
];

/** Arrays of arrays, `depth` of them. */
function nest(depth: number): Buffer {
  return depth === 1 ? array('u8', 0) : array('array', 1, nest(depth - 1));
}

describe('a header is refused when it has', () => {
  it.each(cases)('%s', async (_what, bytes, code, text) => {
    const error = await failure(parse(bytes), code);
    expect(error.message).toContain(text);
    expect(error.message).toMatch(/^test\.gguf: /);
    expect(error.details).toMatchObject({ file: 'test.gguf', offset: expect.any(Number), reading: expect.any(String) });
  });

  it('no end: cut at any byte, it is truncated', async () => {
    const bytes = rawFile({
      pairs: [
        pair('general.alignment', 'u32', u32(16)),
        pair('a', 'bool', u8(1)),
        pair('b', 'string', str('text')),
        pair('c', 'array', array('string', 2, str('x'), str(''))),
        pair('d', 'array', array('array', 2, array('f64', 1, u64(0)), array('bool', 1, u8(0)))),
        pair('e', 'array', array('i16', 3, Buffer.alloc(6))),
      ],
      tensors: [entry({ name: 'one', dims: [4, 2] }), entry({ name: 'two', dims: [256], ggmlType: 14, offset: 32 })],
      alignment: 16,
      data: 32 + 210,
    });
    expect((await parse(bytes)).tensors.length).toBe(2);
    for (let length = 0; length < bytes.length; length++) {
      const error = await failure(parse(bytes.subarray(0, length)), 'ERR_GGUF_TRUNCATED');
      expect(error.details.offset).toBeLessThanOrEqual(length);
    }
  });

  it('arrays that are nested deeper than is accepted', async () => {
    expect((await parse(key('k', 'array', nest(4)))).metadataTypes.k).toBe('array[]');
    const error = await failure(parse(key('k', 'array', nest(5))), 'ERR_GGUF_LIMIT');
    expect(error.message).toContain('nested more than 4');
  });

  it('more metadata pairs or tensors than are accepted', async () => {
    const bytes = (pairs: number, tensors: number) =>
      Buffer.concat([rawFile({ pairCount: pairs, tensorCount: tensors }), Buffer.alloc(40 * Math.max(pairs, tensors))]);
    await failure(parse(bytes(limits.MAX_METADATA_COUNT + 1, 0)), 'ERR_GGUF_LIMIT');
    await failure(parse(bytes(0, limits.MAX_TENSOR_COUNT + 1)), 'ERR_GGUF_LIMIT');
  });

  it('longer arrays, more nested arrays and longer strings than are accepted', async () => {
    const long = key('k', 'array', array('u8', limits.MAX_ARRAY_LENGTH + 1, Buffer.alloc(limits.MAX_ARRAY_LENGTH + 1)));
    await failure(parse(long), 'ERR_GGUF_LIMIT');

    const inner = array('u8', 0);
    const nested = Buffer.concat(Array.from({ length: limits.MAX_NESTED_ARRAYS + 1 }, () => inner));
    await failure(parse(key('k', 'array', array('array', limits.MAX_NESTED_ARRAYS + 1, nested))), 'ERR_GGUF_LIMIT');

    const tail = { name: 'test.gguf', size: 2 ** 40, read: async (target: Uint8Array) => target.fill(0).length };
    const head = key('k', 'string', u64(limits.MAX_STRING_BYTES + 1));
    await failure(readPart({ ...tail, read: startingWith(head) }), 'ERR_GGUF_LIMIT');
  });

  it('more bytes than are accepted', async () => {
    // Eight-byte numbers, 2^24 of them an array, until the limit is passed.
    const numbers = pair('k', 'array', array('f64', limits.MAX_ARRAY_LENGTH));
    const read = startingWith(rawFile({ pairCount: 2, pairs: [numbers] }));
    const error = await failure(readPart({ name: 'test.gguf', size: 2 ** 40, read }), 'ERR_GGUF_LIMIT');
    expect(error.message).toContain(`${limits.MAX_HEADER_BYTES} bytes`);
  });
});

/** Reads `head`, then zeros without end. */
function startingWith(head: Uint8Array) {
  return memorySource('test.gguf', head, 2 ** 40).read;
}

describe('memory stays small', () => {
  it('when a file of 1 KB claims a great many things', async () => {
    const claims = [2n ** 16n, 2n ** 24n, 2n ** 30n, 2n ** 32n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
    const pad = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(1024 - bytes.length)]);
    const before = process.memoryUsage();
    for (const claim of claims) {
      await failure(parse(pad(rawFile({ tensorCount: claim }))), 'ERR_GGUF_TRUNCATED');
      await failure(parse(pad(rawFile({ pairCount: claim }))), 'ERR_GGUF_TRUNCATED');
      await failure(parse(pad(key('k', 'string', u64(claim)))), 'ERR_GGUF_TRUNCATED');
      await failure(parse(pad(rawFile({ pairs: [u64(claim)], pairCount: 1 }))), 'ERR_GGUF_TRUNCATED');
      await failure(parse(pad(rawFile({ tensors: [u64(claim)], tensorCount: 1 }))), 'ERR_GGUF_TRUNCATED');
      for (const items of VALUE_TYPES) {
        await failure(parse(pad(key('k', 'array', array(items, claim)))), 'ERR_GGUF_TRUNCATED');
      }
    }
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(4 * 2 ** 20);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(64 * 2 ** 20);
  });
});

describe('a path is refused when it is', () => {
  it('missing', async () => {
    const path = join(folder, 'missing.gguf');
    const error = await failure(readGGUFHeader(path), 'ERR_FILE');
    expect(error.message).toContain(path);
    expect(error.details.file).toBe(path);
  });

  it('a folder', async () => {
    await mkdir(join(folder, 'folder.gguf'));
    await failure(readGGUFHeader(join(folder, 'folder.gguf')), 'ERR_FILE');
  });

  it.skipIf(process.platform === 'win32')('a named pipe that nobody writes to', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.gguf')]);
    const error = await failure(readGGUFHeader(join(folder, 'pipe.gguf')), 'ERR_FILE');
    expect(error.message).toContain('not a regular file');
  });

  it('a file that became shorter while it was read', async () => {
    const bytes = rawFile({ pairs: [pair('k', 'string', str('x'.repeat(1000)))] });
    const source = memorySource('test.gguf', bytes);
    const read = (target: Uint8Array, position: number) =>
      position < 100 ? source.read(target.subarray(0, 100 - position), position) : Promise.resolve(0);
    const error = await failure(readPart({ ...source, read }), 'ERR_GGUF_TRUNCATED');
    expect(error.message).toContain('became shorter');
  });

  it('cut by a single byte of its data', async () => {
    const bytes = rawFile({ tensors: [entry()], data: 32 });
    const path = join(folder, 'cut.gguf');
    await writeFile(path, bytes.subarray(0, -1));
    const error = await failure(readGGUFHeader(path), 'ERR_GGUF_TRUNCATED');
    expect(error.message).toContain('unfinished download');
  });
});
