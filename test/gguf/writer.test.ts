import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readGGUFHeader, typedMetadata, type WriteOptions, writeGGUF } from '../../ts/gguf/index.ts';
import type { GGUFList, GGUFStrings } from '../../ts/gguf/value-types.ts';
import { array, failure, pair, parse, rawFile, str, temporaryFolder } from './raw.ts';

const folder = await temporaryFolder();
let files = 0;
const newPath = () => join(folder, `${files++}.gguf`);

describe('writing', () => {
  it('makes a file that reads back as what was written', async () => {
    const path = newPath();
    const floats = Float32Array.from({ length: 6 }, (_, i) => i / 3);
    const blocks = Uint8Array.from({ length: 2 * 34 }, (_, i) => i);
    const written = await writeGGUF(path, {
      metadata: {
        'general.architecture': 'llama',
        'llama.block_count': 2,
        'llama.rope.freq_base': { type: 'f32', value: 10000 },
        'tokenizer.ggml.tokens': ['<s>', '▁a'],
        'tokenizer.ggml.scores': Float32Array.of(0, -1),
        'tokenizer.ggml.add_bos_token': true,
        nested: { type: 'array[]', value: [['a'], Int8Array.of(-1)] },
      },
      tensors: [
        { name: 'norm', shape: [2, 3], dtype: 'f32', data: floats },
        { name: 'weight', shape: [2, 32], dtype: 'q8_0', data: blocks },
      ],
    });
    const file = await readGGUFHeader(path);
    expect(written).toEqual(file);
    expect(file.metadata['general.architecture']).toBe('llama');
    expect(file.metadata['llama.block_count']).toBe(2);
    expect(file.metadataTypes['llama.block_count']).toBe('u32');
    expect(file.metadata['llama.rope.freq_base']).toBe(10000);
    expect((file.metadata['tokenizer.ggml.tokens'] as GGUFStrings).toArray()).toEqual(['<s>', '▁a']);
    expect(file.metadata['tokenizer.ggml.scores']).toEqual(Float32Array.of(0, -1));
    expect(file.metadata['tokenizer.ggml.add_bos_token']).toBe(true);
    expect((file.metadata.nested as GGUFList<unknown>).at(1)).toEqual(Int8Array.of(-1));

    const bytes = await readFile(path);
    const { offset, byteLength } = file.tensor('norm');
    expect(bytes.subarray(offset, offset + byteLength!)).toEqual(Buffer.from(floats.buffer));
    const weight = file.tensor('weight');
    expect(new Uint8Array(bytes.subarray(weight.offset, weight.offset + weight.byteLength!))).toEqual(blocks);
    // The last tensor is padded too: ggml reads it so.
    expect((bytes.length - file.parts[0]!.dataOffset) % 32).toBe(0);
  });

  it.each([1, 2, 3] as const)('writes version %i', async (version) => {
    const path = newPath();
    const tensors = [{ name: 't', shape: [2, 4], dtype: 'f16', data: new Uint8Array(16) }];
    await writeGGUF(path, { version, metadata: { list: ['a', 'b'] }, tensors });
    const file = await readGGUFHeader(path);
    expect(file.version).toBe(version);
    expect((file.metadata.list as GGUFStrings).toArray()).toEqual(['a', 'b']);
    expect(file.tensor('t').shape).toEqual([2, 4]);
  });

  it('picks the integer type by the value', async () => {
    const { metadataTypes } = await writeGGUF(newPath(), {
      metadata: { a: 2 ** 32 - 1, b: 2 ** 32, c: -1, d: -(2 ** 31) - 1, e: 2n ** 64n - 1n },
    });
    expect({ ...metadataTypes }).toEqual({ a: 'u32', b: 'u64', c: 'i32', d: 'i64', e: 'u64' });
  });

  it('streams data that comes in pieces', async () => {
    const path = newPath();
    const pieces = [1, 2, 3].map((value) => new Uint8Array(value * 4).fill(value));
    async function* slowly() {
      for (const piece of pieces) yield piece;
    }
    const file = await writeGGUF(path, {
      tensors: [
        { name: 'a', shape: [6], dtype: 'f32', data: slowly() },
        { name: 'b', shape: [6], dtype: 'f32', data: pieces },
      ],
    });
    const bytes = await readFile(path);
    for (const name of ['a', 'b']) {
      const { offset } = file.tensor(name);
      expect(bytes.subarray(offset, offset + 24)).toEqual(Buffer.concat(pieces));
    }
  });

  it('aligns data and says so in the metadata', async () => {
    const file = await writeGGUF(newPath(), {
      alignment: 256,
      tensors: ['a', 'b'].map((name) => ({ name, shape: [1], dtype: 'i8', data: Uint8Array.of(1) })),
    });
    expect(file.metadata['general.alignment']).toBe(256);
    expect(file.tensors.map(({ offset }) => offset % 256)).toEqual([0, 0]);
    const again = await writeGGUF(newPath(), { metadata: typedMetadata(file) });
    expect(again.alignment).toBe(256);
  });

  it('copies the metadata of another file byte for byte, faulty UTF-8 included', async () => {
    const token = Uint8Array.of(0xff, 0x20);
    const original = rawFile({
      pairs: [
        pair('a', 'u8', Uint8Array.of(1)),
        pair('b', 'array', array('string', 2, str(token), str('ok'))),
        pair('c', 'array', array('array', 2, array('string', 1, str(token)), array('bool', 1, Uint8Array.of(1)))),
        pair('d', 'array', array('i64', 0)),
      ],
    });
    const path = newPath();
    await writeGGUF(path, { metadata: typedMetadata(await parse(original)) });
    expect(await readFile(path)).toEqual(original);
  });
});

describe('a file is not written when', () => {
  const tensor = { name: 't', shape: [4], dtype: 'f32', data: new Uint8Array(16) };
  const cases: readonly (readonly [string, WriteOptions, string])[] = [
    ['a fraction has no type', { metadata: { k: 0.5 } }, "{ type: 'f32', value: 0.5 }"],
    ['a number is not one', { metadata: { k: Number.NaN } }, 'NaN'],
    ['a value does not fit its type', { metadata: { k: { type: 'u8', value: 256 } } }, '256 is not a value of type u8'],
    ['an integer type gets a fraction', { metadata: { k: { type: 'i32', value: 1.5 } } }, '1.5'],
    ['a 64-bit integer is not exact', { metadata: { k: { type: 'u64', value: 2 ** 60 } } }, 'u64'],
    ['a 64-bit integer is too large', { metadata: { k: 2n ** 64n } }, 'is not a value of type u64'],
    ['a 64-bit integer is too small', { metadata: { k: { type: 'u64', value: -1 } } }, '-1 is not a value of type u64'],
    ['an f32 would become infinite', { metadata: { k: { type: 'f32', value: 1e40 } } }, '1e+40'],
    ['an array has no type', { metadata: { k: [] } }, "{ type: 'i32[]'"],
    ['an array mixes types', { metadata: { k: ['a', true] as unknown as string[] } }, 'needs a type'],
    ['a value is no value', { metadata: { k: null as unknown as string } }, 'null is not a metadata value'],
    ['a value is of an unknown type', { metadata: { k: { type: 'x', value: 1 } as never } }, 'not a metadata value'],
    ['text has no UTF-8 form', { metadata: { k: 'a\uD800' } }, 'surrogate'],
    ['a key is empty', { metadata: { '': 1 } }, 'must not be empty'],
    [
      'a key is twice there',
      {
        metadata: [
          ['a', 1],
          ['a', 2],
        ],
      },
      '"a" is there twice',
    ],
    ['arrays are nested too deep', { metadata: { k: deep(5) } }, 'nested more than 4'],
    ['an item of arrays is none', { metadata: { k: { type: 'array[]', value: [1] } } }, 'must be an array'],
    ['a tensor is twice there', { tensors: [tensor, tensor] }, '"t" is there twice'],
    ['a tensor has no name', { tensors: [{ ...tensor, name: '' }] }, 'must not be empty'],
    ['a tensor has no dimensions', { tensors: [{ ...tensor, shape: [] }] }, '1 to 4 dimensions'],
    ['a tensor has five dimensions', { tensors: [{ ...tensor, shape: [1, 1, 1, 1, 4] }] }, '1 to 4 dimensions'],
    ['a dimension is zero', { tensors: [{ ...tensor, shape: [0, 4] }] }, 'positive whole numbers'],
    ['a dimension is a fraction', { tensors: [{ ...tensor, shape: [0.5] }] }, 'positive whole numbers'],
    ['a type is unknown', { tensors: [{ ...tensor, dtype: 'q3_5' }] }, '"q3_5"'],
    ['a row is not whole blocks', { tensors: [{ ...tensor, dtype: 'q4_0' }] }, 'whole blocks of 32'],
    ['data is short', { tensors: [{ ...tensor, data: new Uint8Array(15) }] }, 'takes 16 bytes'],
    ['data is long', { tensors: [{ ...tensor, data: new Float64Array(4) }] }, 'takes 16 bytes'],
    [
      'pieces of data are long',
      { tensors: [{ ...tensor, data: [new Uint8Array(16), new Uint8Array(1)] }] },
      'takes 16',
    ],
    ['data has no end', { tensors: [{ ...tensor, data: endless() }] }, 'takes 16'],
    ['a piece of data is not bytes', { tensors: [{ ...tensor, data: ['x'] as never }] }, 'is not bytes'],
    ['the alignment is no power of two', { alignment: 48 }, 'power of two'],
    ['the alignment is absurd', { alignment: 2 ** 30 }, 'alignment'],
    ['two alignments differ', { alignment: 64, metadata: { 'general.alignment': 32 } }, 'metadata says 32'],
    ['the alignment has another type', { metadata: { 'general.alignment': { type: 'u64', value: 32 } } }, 'u32'],
    ['the version is not known', { version: 4 as 3 }, 'no version 4'],
  ];

  function* endless() {
    for (;;) yield new Uint8Array(8);
  }

  function deep(levels: number): { type: 'array[]'; value: never[] } {
    return { type: 'array[]', value: levels === 1 ? [] : ([deep(levels - 1)] as never[]) };
  }

  it.each(cases)('%s', async (_what, options, text) => {
    const before = await readdir(folder);
    const error = await failure(writeGGUF(newPath(), options), 'ERR_INVALID_ARGUMENT');
    expect(error.message).toContain(text);
    expect(await readdir(folder)).toEqual(before);
  });

  it('the folder is missing', async () => {
    const error = await failure(writeGGUF(join(folder, 'no', 'such.gguf'), {}), 'ERR_FILE');
    expect(error.message).toContain('such.gguf');
  });

  it('the data fails while it is produced, or the caller gives up; a file of that name stays as it was', async () => {
    const path = newPath();
    await writeGGUF(path, { metadata: { old: true } });
    const boom = new Error('boom');
    const reason = new Error('enough');
    const controller = new AbortController();
    function* failing() {
      yield new Uint8Array(4);
      throw boom;
    }
    function* aborting() {
      yield new Uint8Array(8);
      controller.abort(reason);
      yield new Uint8Array(8);
    }
    await expect(writeGGUF(path, { tensors: [{ ...tensor, data: failing() }] })).rejects.toBe(boom);
    const { signal } = controller;
    await expect(writeGGUF(path, { tensors: [{ ...tensor, data: aborting() }], signal })).rejects.toBe(reason);
    expect((await readGGUFHeader(path)).metadata.old).toBe(true);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
