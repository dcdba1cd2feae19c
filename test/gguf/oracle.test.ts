// The same files read by @huggingface/gguf, an independent reader.
import { join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { describe, expect, it } from 'vitest';
import { type MetadataInput, readGGUFHeader, splitPartName, writeGGUF } from '../../ts/gguf/index.ts';
import type { MetadataValue } from '../../ts/gguf/value-types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { temporaryFolder } from './raw.ts';

const folder = await temporaryFolder();

/** As the other reader has it: plain arrays, and 64-bit integers always as bigints. */
function plain(value: MetadataValue, type: string): unknown {
  if (typeof value === 'number' && /^[ui]64$/.test(type)) return BigInt(value);
  if (typeof value !== 'object') return value;
  const items: unknown[] = 'toArray' in value ? value.toArray() : Array.from(value as ArrayLike<unknown>);
  return items.map((item) => (typeof item === 'object' ? plain(item as MetadataValue, '') : item));
}

async function compare(path: string): Promise<void> {
  const ours = await readGGUFHeader(path, { siblings: false });
  const theirs = await gguf(path, { allowLocalFile: true, typedMetadata: true });
  const { version, tensor_count, kv_count, ...metadata } = theirs.metadata as unknown as Record<string, unknown>;
  expect(ours.version).toBe(version);
  expect(BigInt(ours.tensors.length)).toBe(tensor_count);
  expect(BigInt(Object.keys(ours.metadata).length)).toBe(kv_count);
  expect(BigInt(ours.parts[0]!.dataOffset)).toBe(theirs.tensorDataOffset);
  const values = Object.entries(ours.metadata).map(([key, value]) => [key, plain(value, ours.metadataTypes[key]!)]);
  expect(Object.fromEntries(values)).toEqual(metadata);
  expect(
    ours.tensors.map(({ name, shape, ggmlType, offset }) => ({
      name,
      n_dims: shape.length,
      shape: [...shape].reverse().map(BigInt),
      dtype: ggmlType,
      offset: BigInt(offset) - theirs.tensorDataOffset,
    })),
  ).toEqual(theirs.tensorInfos);
}

const metadata: Readonly<Record<string, MetadataInput>> = {
  'general.architecture': 'llama',
  u8: { type: 'u8', value: 255 },
  i8: { type: 'i8', value: -128 },
  u16: { type: 'u16', value: 65535 },
  i16: { type: 'i16', value: -32768 },
  u32: { type: 'u32', value: 4294967295 },
  i32: { type: 'i32', value: -2147483648 },
  f32: { type: 'f32', value: 1 / 3 },
  bool: true,
  string: 'Zeichen: ü, 字, \u{1F4A1}',
  u64: { type: 'u64', value: 2n ** 64n - 1n },
  'u64 small': { type: 'u64', value: 5 },
  i64: { type: 'i64', value: -(2n ** 63n) },
  f64: { type: 'f64', value: Math.PI },
  u8s: Uint8Array.of(0, 128, 255),
  i16s: Int16Array.of(-1, 1),
  f32s: Float32Array.of(0.1, -0.1),
  f64s: Float64Array.of(0.1),
  u64s: BigUint64Array.of(2n ** 63n),
  i64s: BigInt64Array.of(-1n),
  bools: [true, false],
  // The other reader takes a byte order mark off the front of strings.
  strings: ['', 'a', 'ü\uFEFF'],
  empty: { type: 'string[]', value: [] },
  nested: { type: 'array[]', value: [['x', 'y'], Uint32Array.of(7), { type: 'array[]', value: [[true]] }] },
};

/** One tensor of every type that has kernels. */
const tensors = [
  ...Object.values(DTYPES).map(({ name, bytes }) => ({ dtype: name, shape: [2, 3, 5], bytes: 30 * bytes })),
  ...QuantFormat.list().map(({ name, blockSize, blockBytes }) => {
    return { dtype: name, shape: [3, 2 * blockSize], bytes: 6 * blockBytes };
  }),
].map(({ dtype, shape, bytes }) => ({ name: `blk.0.${dtype}`, shape, dtype, data: new Uint8Array(bytes) }));

describe('this reader and @huggingface/gguf see the same', () => {
  it.each([1, 2, 3] as const)('in a file of version %i with every metadata type and every format', async (version) => {
    const path = join(folder, `all-${version}.gguf`);
    await writeGGUF(path, { metadata, tensors, version });
    await compare(path);
  });

  it('in a file with an alignment of its own', async () => {
    const path = join(folder, 'aligned.gguf');
    await writeGGUF(path, { metadata, tensors, alignment: 1024 });
    await compare(path);
  });

  it('in an empty file', async () => {
    const path = join(folder, 'empty.gguf');
    await writeGGUF(path, {});
    await compare(path);
  });

  it('in a vocabulary that takes several reads', async () => {
    const path = join(folder, 'vocabulary.gguf');
    const count = 60_000;
    await writeGGUF(path, {
      metadata: {
        tokens: Array.from({ length: count }, (_, i) => `token-${i}-${'x'.repeat(i % 50)}`),
        scores: Float32Array.from({ length: count }, (_, i) => -i),
        after: 'the end',
      },
    });
    await compare(path);
  });

  it('in each part of a split model', async () => {
    for (const i of [0, 1]) {
      const path = splitPartName(join(folder, 'split'), i, 2);
      const split = { 'split.no': i, 'split.count': 2, 'split.tensors.count': tensors.length };
      await writeGGUF(path, { metadata: split, tensors: tensors.filter((_, index) => index % 2 === i) });
      await compare(path);
    }
    const file = await readGGUFHeader(splitPartName(join(folder, 'split'), 1, 2));
    expect(file.tensors.map(({ name }) => name).sort()).toEqual(tensors.map(({ name }) => name).sort());
  });
});
