import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readGGUFHeader } from '../../ts/gguf/index.ts';
import { READ_CHUNK_BYTES } from '../../ts/gguf/limits.ts';
import { readPart } from '../../ts/gguf/part.ts';
import { memorySource } from '../../ts/gguf/source.ts';
import type { GGUFList, GGUFStrings } from '../../ts/gguf/value-types.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { array, entry, f32, failure, pair, parse, rawFile, str, temporaryFolder, type, u8, u32, u64 } from './raw.ts';

const folder = await temporaryFolder();

describe('metadata', () => {
  it('gives each value the JavaScript type that fits it', async () => {
    const pairs = [
      pair('a.u8', 'u8', u8(200)),
      pair('a.i8', 'i8', u8(200)),
      pair('a.u16', 'u16', u8(0xff), u8(0xff)),
      pair('a.i16', 'i16', u8(0xff), u8(0xff)),
      pair('a.u32', 'u32', u32(0xffff_ffff)),
      pair('a.i32', 'i32', u32(0xffff_ffff)),
      pair('a.f32', 'f32', f32(0.5)),
      pair('a.true', 'bool', u8(1)),
      pair('a.false', 'bool', u8(0)),
      pair('a.string', 'string', str('Grüße')),
      pair('a.u64', 'u64', u64(2n ** 53n - 1n)),
      pair('a.u64 large', 'u64', u64(2n ** 53n)),
      pair('a.i64', 'i64', u64(-1)),
      pair('a.i64 large', 'i64', u64(-(2n ** 60n))),
      pair('a.f64', 'f64', Buffer.from(Float64Array.of(Math.PI).buffer)),
    ];
    const { metadata, metadataTypes } = await parse(rawFile({ pairs }));
    expect({ ...metadata }).toEqual({
      'a.u8': 200,
      'a.i8': -56,
      'a.u16': 65535,
      'a.i16': -1,
      'a.u32': 4294967295,
      'a.i32': -1,
      'a.f32': 0.5,
      'a.true': true,
      'a.false': false,
      'a.string': 'Grüße',
      'a.u64': 9007199254740991,
      'a.u64 large': 9007199254740992n,
      'a.i64': -1,
      'a.i64 large': -1152921504606846976n,
      'a.f64': Math.PI,
    });
    expect(metadataTypes['a.u64 large']).toBe('u64');
    expect(metadataTypes['a.true']).toBe('bool');
  });

  it('gives arrays of numbers as typed arrays', async () => {
    const pairs = [
      pair('floats', 'array', array('f32', 3, f32(1, -2, 0.25))),
      pair('bytes', 'array', array('i8', 2, u8(255), u8(1))),
      pair('wide', 'array', array('u64', 1, u64(7))),
      pair('none', 'array', array('f64', 0)),
    ];
    const { metadata, metadataTypes } = await parse(rawFile({ pairs }));
    expect(metadata.floats).toEqual(Float32Array.of(1, -2, 0.25));
    expect(metadata.bytes).toEqual(Int8Array.of(-1, 1));
    expect(metadata.wide).toEqual(BigUint64Array.of(7n));
    expect(metadata.none).toEqual(new Float64Array());
    expect(metadataTypes.floats).toBe('f32[]');
  });

  it('gives arrays of strings as lists that decode on access', async () => {
    const texts = ['', 'a', '▁the', '\u{1F4A1}', '\uFEFFbom'];
    const { metadata, metadataTypes } = await parse(
      rawFile({ pairs: [pair('tokens', 'array', array('string', texts.length, ...texts.map(str)))] }),
    );
    const tokens = metadata.tokens as GGUFStrings;
    expect(metadataTypes.tokens).toBe('string[]');
    expect(tokens.length).toBe(5);
    expect(tokens.toArray()).toEqual(texts);
    expect([...tokens]).toEqual(texts);
    expect(tokens.at(2)).toBe('▁the');
    expect(tokens.at(-1)).toBe('\uFEFFbom');
    expect(tokens.at(5)).toBeUndefined();
    expect(tokens.at(-6)).toBeUndefined();
    expect(JSON.stringify(tokens)).toBe(JSON.stringify(texts));
  });

  it('shows strings that are not UTF-8 with replacement characters and gives their bytes', async () => {
    const token = Uint8Array.of(0x61, 0xff, 0xfe);
    const { metadata } = await parse(rawFile({ pairs: [pair('tokens', 'array', array('string', 1, str(token)))] }));
    const tokens = metadata.tokens as GGUFStrings;
    expect(tokens.at(0)).toBe('a\uFFFD\uFFFD');
    expect(tokens.bytesAt(0)).toEqual(token);
    expect(tokens.bytesAt(1)).toBeUndefined();
  });

  it('reads arrays of bools and arrays of arrays', async () => {
    const nested = array('array', 2, array('i32', 2, u32(1), u32(2)), array('string', 1, str('x')));
    const { metadata, metadataTypes } = await parse(
      rawFile({
        pairs: [
          pair('bools', 'array', array('bool', 3, u8(1), u8(0), u8(1))),
          pair('nested', 'array', array('array', 1, nested)),
        ],
      }),
    );
    expect((metadata.bools as GGUFList<boolean>).toArray()).toEqual([true, false, true]);
    expect(metadataTypes.nested).toBe('array[]');
    const inner = (metadata.nested as GGUFList<GGUFList<unknown>>).at(0)!;
    expect(inner.at(0)).toEqual(Int32Array.of(1, 2));
    expect((inner.at(1) as GGUFStrings).toArray()).toEqual(['x']);
  });

  it('treats "__proto__" as a key like any other', async () => {
    const { metadata } = await parse(rawFile({ pairs: [pair('__proto__', 'u8', u8(7))] }));
    expect(Object.keys(metadata)).toEqual(['__proto__']);
    expect(metadata.toString).toBeUndefined();
  });

  it('reads version 1, whose counts and lengths have 32 bits, and version 2', async () => {
    const text = Buffer.from('hello');
    const old = Buffer.concat([
      Buffer.from('GGUF'),
      ...[1, 1, 1].map(u32),
      ...[u32(1), Buffer.from('k'), type('array'), type('string'), u32(2), u32(5), text, u32(0)],
      ...[u32(1), Buffer.from('t'), u32(2), u32(4), u32(2), u32(0), u64(0)],
    ]);
    const file = await parse(Buffer.concat([old, Buffer.alloc(96 - old.length + 32)]));
    expect(file.version).toBe(1);
    expect((file.metadata.k as GGUFStrings).toArray()).toEqual(['hello', '']);
    expect(file.tensor('t')).toMatchObject({ shape: [2, 4], offset: 96, byteLength: 32 });
    expect((await parse(rawFile({ version: 2, pairs: [pair('k', 'u8', u8(1))] }))).metadata.k).toBe(1);
  });
});

describe('tensors', () => {
  it('lists shapes in row-major order and offsets from the start of the file', async () => {
    const tensors = [
      entry({ name: 'token_embd.weight', dims: [256, 3], ggmlType: 12 }),
      entry({ name: 'norm', dims: [4, 1, 2, 1], ggmlType: 30, offset: 448 }),
    ];
    const file = await parse(rawFile({ tensors, data: 448 + 16 }));
    const { dataOffset } = file.parts[0]!;
    expect(dataOffset % 32).toBe(0);
    expect(file.tensors).toEqual([
      {
        name: 'token_embd.weight',
        shape: [3, 256],
        dtype: 'q4_k',
        ggmlType: 12,
        part: 0,
        offset: dataOffset,
        byteLength: 3 * 144,
      },
      {
        name: 'norm',
        shape: [1, 2, 1, 4],
        dtype: 'bf16',
        ggmlType: 30,
        part: 0,
        offset: dataOffset + 448,
        byteLength: 16,
      },
    ]);
  });

  it('says how a tensor is to be made from its bytes', async () => {
    const tensors = [
      entry({ name: 'w', dims: [32, 2], ggmlType: 8 }),
      entry({ name: 'b', dims: [2], ggmlType: 1, offset: 96 }),
    ];
    const file = await parse(rawFile({ tensors, data: 128 }));
    const { dataOffset } = file.parts[0]!;
    const place = { path: 'test.gguf', part: 0 };
    expect(file.place('w')).toEqual({
      ...place,
      kind: 'quantized',
      format: QuantFormat.get('q8_0'),
      shape: [2, 32],
      offset: dataOffset,
      byteLength: 68,
    });
    expect(file.place('b')).toEqual({
      ...place,
      kind: 'plain',
      dtype: 'f16',
      shape: [2],
      offset: dataOffset + 96,
      byteLength: 4,
    });
    const error = await failure((async () => file.place('missing'))(), 'ERR_TENSOR_NOT_FOUND');
    expect(error.message).toContain('"missing"');
  });

  it('lists types that no kernel reads, checks their bounds, and refuses them on use', async () => {
    const tensors = [entry({ name: 'w', dims: [256], ggmlType: 16 })];
    const file = await parse(rawFile({ tensors, data: 66 }));
    expect(file.tensor('w')).toMatchObject({ dtype: 'iq2_xxs', byteLength: 66 });
    await failure((async () => file.place('w'))(), 'ERR_GGUF_UNSUPPORTED');
    await failure(parse(rawFile({ tensors, data: 65 })), 'ERR_GGUF_TRUNCATED');
  });

  it('lists types that nothing is known of without a size, and refuses them on use', async () => {
    const tensors = [
      entry({ name: 'a', dims: [7], ggmlType: 137 }),
      entry({ name: 'b', dims: [8], ggmlType: 0, offset: 64 }),
    ];
    const file = await parse(rawFile({ tensors, data: 96 }));
    expect(file.tensor('a')).toMatchObject({ dtype: 'unknown(137)', ggmlType: 137, byteLength: undefined });
    const error = await failure((async () => file.place('a'))(), 'ERR_GGUF_UNSUPPORTED');
    expect(error.message).toContain('unknown(137)');
    expect(file.place('b').byteLength).toBe(32);
  });

  it('knows the formats that plug-ins have registered', async () => {
    const bytes = rawFile({ tensors: [entry({ name: 'w', dims: [20], ggmlType: 900 })], data: 6 });
    const before = await parse(bytes);
    const unregister = QuantFormat.register({ name: 'q_plugin', blockSize: 10, blockBytes: 3, ggufType: 900 });
    try {
      const file = await parse(bytes);
      expect(file.tensor('w')).toMatchObject({ dtype: 'q_plugin', byteLength: 6 });
      expect(file.place('w')).toMatchObject({ kind: 'quantized', format: { name: 'q_plugin' } });
      // Its size was not checked when the file was opened.
      await failure((async () => before.place('w'))(), 'ERR_GGUF_UNSUPPORTED');

      // Another format with the same number does not make the tensor one of its own.
      unregister();
      const unregisterOther = QuantFormat.register({ name: 'q_other', blockSize: 5, blockBytes: 30, ggufType: 900 });
      try {
        await failure((async () => file.place('w'))(), 'ERR_GGUF_UNSUPPORTED');
      } finally {
        unregisterOther();
      }
    } finally {
      unregister();
    }
  });

  it('knows the size of every type that ggml defines', async () => {
    // From ggml's block definitions: weights and bytes per block.
    const sizes: Readonly<Record<number, [number, number]>> = {
      ...{ 0: [1, 4], 1: [1, 2], 2: [32, 18], 3: [32, 20], 6: [32, 22], 7: [32, 24], 8: [32, 34], 9: [32, 36] },
      ...{ 10: [256, 84], 11: [256, 110], 12: [256, 144], 13: [256, 176], 14: [256, 210], 15: [256, 292] },
      ...{ 16: [256, 66], 17: [256, 74], 18: [256, 98], 19: [256, 50], 20: [32, 18], 21: [256, 110] },
      ...{ 22: [256, 82], 23: [256, 136], 24: [1, 1], 25: [1, 2], 26: [1, 4], 27: [1, 8], 28: [1, 8] },
      ...{ 29: [256, 56], 30: [1, 2], 34: [256, 54], 35: [256, 66], 39: [32, 17], 40: [64, 36] },
      ...{ 41: [128, 18], 42: [64, 18] },
    };
    for (const [ggmlType, [weights, bytes]] of Object.entries(sizes)) {
      const tensors = [entry({ dims: [weights, 3], ggmlType: Number(ggmlType) })];
      const file = await parse(rawFile({ tensors, data: 3 * bytes }));
      expect(file.tensor('t').byteLength, file.tensor('t').dtype).toBe(3 * bytes);
    }
  });

  it('accepts tensors in any order and with gaps between them', async () => {
    const tensors = [entry({ name: 'late', offset: 128 }), entry({ name: 'early', offset: 0 })];
    const file = await parse(rawFile({ tensors, data: 160 }));
    expect(file.tensors.map(({ name }) => name)).toEqual(['late', 'early']);
  });

  it('places data by the alignment that the file states', async () => {
    const pairs = [pair('general.alignment', 'u32', u32(4096))];
    const file = await parse(rawFile({ pairs, tensors: [entry()], alignment: 4096, data: 32 }));
    expect(file.alignment).toBe(4096);
    expect(file.tensor('t').offset).toBe(4096);
  });
});

describe('files', () => {
  it('reads a file from disk and keeps its path and size', async () => {
    const path = join(folder, 'model.gguf');
    const bytes = rawFile({ pairs: [pair('k', 'string', str('v'))], tensors: [entry()], data: 32 });
    await writeFile(path, bytes);
    const file = await readGGUFHeader(path);
    expect(file.parts).toEqual([{ path, byteLength: bytes.length, dataOffset: 96, version: 3, alignment: 32 }]);
    expect(file.metadata.k).toBe('v');
    expect(file.has('t')).toBe(true);
    expect(file.has('u')).toBe(false);
  });

  it('does not read the tensor data', async () => {
    const bytes = rawFile({ tensors: [entry({ dims: [2 ** 22] })], data: 2 ** 24 });
    const source = memorySource('test.gguf', bytes);
    let furthest = 0;
    await readPart({
      ...source,
      read: (target, position) => {
        furthest = Math.max(furthest, position + target.length);
        return source.read(target, position);
      },
    });
    expect(furthest).toBeLessThanOrEqual(READ_CHUNK_BYTES);
  });

  it('reads each byte once, however the header is cut into reads', async () => {
    const tokens = Array.from({ length: 2000 }, (_, i) => `token ${i}`);
    const pairs = [
      pair('long', 'string', str('x'.repeat(3 * READ_CHUNK_BYTES))),
      pair('tokens', 'array', array('string', tokens.length, ...tokens.map(str))),
      pair('after', 'u32', u32(5)),
    ];
    const bytes = rawFile({ pairs });
    const source = memorySource('test.gguf', bytes);
    for (const most of [1013, 64 * 1024, READ_CHUNK_BYTES]) {
      let next = 0;
      const { metadata } = await readPart({
        ...source,
        // A file system may return less than was asked for.
        read: async (target, position) => {
          expect(position).toBe(next);
          const read = await source.read(target.subarray(0, most), position);
          next += read;
          return read;
        },
      });
      expect((metadata.tokens as GGUFStrings).toArray()).toEqual(tokens);
      expect(metadata.after).toBe(5);
      expect(next).toBe(bytes.length);
    }
  });

  it('stops when asked to', async () => {
    const path = join(folder, 'abort.gguf');
    await writeFile(path, rawFile());
    const reason = new Error('enough');
    await expect(readGGUFHeader(path, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);

    const controller = new AbortController();
    const source = memorySource('test.gguf', rawFile({ pairs: [pair('k', 'string', str('x'.repeat(2 ** 22)))] }));
    const reading = readPart(
      {
        ...source,
        read: (target, position) => {
          if (position > 0) controller.abort(reason);
          return source.read(target, position);
        },
      },
      controller.signal,
    );
    await expect(reading).rejects.toBe(reason);
  });
});
