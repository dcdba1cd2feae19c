import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MetadataInput, readGGUFHeader, type TensorInput, writeGGUF } from '../../ts/gguf/index.ts';
import { type MetadataValue, NUMBER_ARRAYS, type NumberType } from '../../ts/gguf/value-types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { temporaryFolder } from './raw.ts';

const folder = await temporaryFolder();

/** An input and what it reads back as. */
interface Case {
  readonly input: MetadataInput;
  readonly expected: unknown;
}

const text = fc.string({ unit: 'binary', maxLength: 20 });
const key = text.filter((name) => name !== '' && name !== 'general.alignment');
const numberTypes = Object.keys(NUMBER_ARRAYS) as NumberType[];

/** Numbers of a type, made of random bytes: every bit pattern counts, NaNs with payload among them. */
const numbers = (type: NumberType, count: fc.SizeForArbitrary | number) => {
  const bytes = NUMBER_ARRAYS[type].BYTES_PER_ELEMENT;
  const length = typeof count === 'number' ? { minLength: count * bytes, maxLength: count * bytes } : { maxLength: 64 };
  return fc
    .uint8Array(length)
    .map((raw) => new NUMBER_ARRAYS[type](raw.slice(0, raw.length - (raw.length % bytes)).buffer));
};

const scalar: fc.Arbitrary<Case> = fc.oneof(
  text.map((value) => ({ input: value, expected: value })),
  fc.boolean().map((value) => ({ input: value, expected: value })),
  fc.constantFrom(...numberTypes).chain((type) =>
    numbers(type, 1).map((array): Case => {
      const value = array[0]!;
      const safe = typeof value === 'bigint' && Number.isSafeInteger(Number(value));
      return { input: { type, value }, expected: safe ? Number(value) : value };
    }),
  ),
);

const flatArray: fc.Arbitrary<Case> = fc.oneof(
  fc.array(text).map((value): Case => ({ input: { type: 'string[]', value }, expected: value })),
  fc.array(fc.boolean()).map((value): Case => ({ input: { type: 'bool[]', value }, expected: value })),
  fc
    .constantFrom(...numberTypes)
    .chain((type) => numbers(type, 'small').map((value) => ({ input: value, expected: value }))),
);

const nestedArray: fc.Arbitrary<Case> = fc.array(flatArray, { maxLength: 4 }).map((items) => ({
  input: { type: 'array[]', value: items.map(({ input }) => input) },
  expected: items.map(({ expected }) => expected),
}));

const metadata = fc.uniqueArray(fc.tuple(key, fc.oneof(scalar, flatArray, nestedArray)), {
  selector: ([name]) => name,
  maxLength: 12,
});

const types = [
  ...Object.values(DTYPES).map(({ name, bytes }) => ({ name, blockSize: 1, blockBytes: bytes })),
  ...QuantFormat.list(),
];

const tensors: fc.Arbitrary<TensorInput[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      type: fc.constantFrom(...types),
      dims: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 }),
    })
    .chain(({ name, type, dims }) => {
      const blocks = dims.reduce((product, dim) => product * dim, 1);
      const shape = [...dims.slice(0, -1), dims.at(-1)! * type.blockSize];
      const byteLength = blocks * type.blockBytes;
      return fc
        .integer({ min: 0, max: 255 })
        .map((fill) => ({ name, shape, dtype: type.name, data: new Uint8Array(byteLength).fill(fill) }));
    }),
  { selector: ({ name }) => name, maxLength: 6 },
);

/** Lists as plain arrays. */
function plain(value: MetadataValue): unknown {
  return typeof value === 'object' && 'toArray' in value
    ? value.toArray().map((item) => plain(item as MetadataValue))
    : value;
}

describe('any metadata and any tensors', () => {
  it('read back as they were written, in every version and alignment', async () => {
    const path = join(folder, 'any.gguf');
    const version = fc.constantFrom(1, 2, 3);
    const alignment = fc.constantFrom(undefined, 8, 16, 32, 128, 4096);
    await fc.assert(
      fc.asyncProperty(metadata, tensors, version, alignment, async (pairs, list, version, alignment) => {
        const inputs = pairs.map(([name, { input }]) => [name, input] as const);
        await writeGGUF(path, {
          metadata: inputs,
          tensors: list,
          version,
          ...(alignment === undefined ? {} : { alignment }),
        });
        const file = await readGGUFHeader(path);
        const expected = new Map(pairs.map(([name, { expected }]) => [name, expected]));
        const actual = new Map(Object.entries(file.metadata).map(([name, value]) => [name, plain(value)]));
        if (alignment !== undefined && alignment !== 32) expected.set('general.alignment', alignment);
        expect(actual).toEqual(expected);
        expect(file.version).toBe(version);
        expect(file.tensors.map(({ name, shape, dtype, byteLength }) => ({ name, shape, dtype, byteLength }))).toEqual(
          list.map(({ name, shape, dtype, data }) => {
            return { name, shape, dtype, byteLength: (data as Uint8Array).length };
          }),
        );
      }),
      { numRuns: 200 },
    );
  });
});
