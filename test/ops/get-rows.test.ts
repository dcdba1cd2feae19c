import fc from 'fast-check';
import { expect, it } from 'vitest';
import { registerTernary } from '../../docs/examples/ternary-format.ts';
import { dequantize, getRows, QuantFormat, quantize } from '../../ts/index.ts';
import { BACKEND, runs, testDevice } from '../support/device.ts';
import { firstMiss } from '../support/matmul-reference.ts';
import { anyStride, stridedTensor } from '../support/strided.ts';
import { rounded, uniform } from '../support/values.ts';

const device = await testDevice();
const floats = fc.constantFrom('f32' as const, 'f16' as const, 'bf16' as const);
const formats = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));

/** The rows that the indices name, rounded to the result's type; NaN where they name none. */
const expected = (table: Float32Array, k: number, index: readonly number[], dtype: 'f32' | 'f16' | 'bf16') =>
  Float32Array.from(
    index.flatMap((row) =>
      Array.from({ length: k }, (_, i) =>
        row < 0 || row >= table.length / k ? Number.NaN : rounded(table[row * k + i]!, dtype),
      ),
    ),
  );

it('takes rows of plain tables of any strides, to any float type', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 3, 8, 33, 64),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.integer({ min: -2, max: 10 }), { minLength: 1, maxLength: 6 }),
      floats,
      floats,
      anyStride(2),
      fc.integer({ min: 1, max: 2 ** 30 }),
      async (k, rows, index, type, dtype, stride, seed) => {
        const { tensor, values } = stridedTensor(device, [rows, k], type, stride, seed);
        const result = await getRows(tensor, device.tensor(Int32Array.from(index), { shape: [index.length] }), {
          dtype,
          outOfRange: 'nan',
        });
        expect(await result.read()).toEqual(expected(values, k, index, dtype));
      },
    ),
    { numRuns: runs(80) },
  );
});

/** On HIP GPUs scale * code - min may be rounded once instead of twice, which a step of f16 can follow. */
function same(got: Float32Array, values: Float32Array) {
  if (BACKEND !== 'hip') return expect(got).toEqual(values);
  expect([...got].map(Number.isNaN)).toEqual([...values].map(Number.isNaN));
  const bounds = Float64Array.from(values, (value) => 2 ** -10 * Math.abs(value) + 2 ** -22);
  const miss = firstMiss(got.map(zeroed), Float64Array.from(values, zeroed), bounds.map(zeroed));
  expect(miss).toBeNull();
}
const zeroed = (value: number) => (Number.isNaN(value) ? 0 : value);

it.each(formats)('decodes rows of %s', async (format) => {
  const { blockSize } = QuantFormat.get(format);
  const [rows, k] = [5, 2 * blockSize];
  const bytes = quantize(format, uniform(rows * k, 11));
  const table = device.quantized(bytes, { format, shape: [rows, k] });
  const reversed = table.slice({ step: -2 });
  const index = device.tensor(Int32Array.of(2, 0, 2, 1, 5, -1), { shape: [6] });
  const values = dequantize(format, bytes);
  const loose = { outOfRange: 'nan' } as const;
  same(await (await getRows(table, index, loose)).read(), expected(values, k, [2, 0, 2, 1, 5, -1], 'f32'));
  const out = device.empty([k, 3], { dtype: 'f16' }).transpose();
  await getRows(reversed, index.slice({ step: 2 }), { ...loose, out });
  const rowsOf = [4, 2, 0].map((row) => values.subarray(row * k, (row + 1) * k));
  const turned = Float32Array.from(rowsOf.flatMap((row) => [...row]));
  same(await out.read(), expected(turned, k, [2, 2, 5], 'f16'));
});

it('decodes rows of a format that a plug-in brings', async () => {
  const undo = registerTernary();
  const bytes = quantize('ternary64', uniform(3 * 64, 1));
  const table = device.quantized(bytes, { format: 'ternary64', shape: [3, 64] });
  const result = await getRows(table, device.tensor(Int32Array.of(1), { shape: [1] }));
  expect(await result.read()).toEqual(dequantize('ternary64', bytes).slice(64, 128));
  undo();
});

it('names an index that is no row, before anything is read', async () => {
  const table = device.tensor(uniform(12, 1), { shape: [3, 4] });
  const out = device.tensor(new Float32Array(8).fill(7), { shape: [2, 4] });
  for (const row of [-1, 3, 2 ** 31 - 1]) {
    const index = device.tensor(Int32Array.of(2, row), { shape: [2] });
    await expect(getRows(table, index, { out })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_BOUNDS',
      details: { at: 1, index: row, rows: 3 },
    });
    expect(await out.read()).toEqual(new Float32Array(8).fill(7));
  }
  expect((await getRows(table, device.empty([0], { dtype: 'i32' }))).shape).toEqual([0, 4]);
});

it('reads blocks that begin at any byte', async () => {
  const bytes = quantize('q8_0', uniform(3 * 64, 5));
  const buffer = device.buffer(bytes.length + 1);
  buffer.write(bytes, 1);
  const table = device.quantizedView(buffer, 1, { format: 'q8_0', shape: [3, 64] });
  const result = await getRows(table, device.tensor(Int32Array.of(2), { shape: [1] }));
  same(await result.read(), dequantize('q8_0', bytes).slice(128));
});

it('refuses tables, indices and results of other shapes and types', async () => {
  const table = device.empty([4, 8]);
  const index = device.tensor(Int32Array.of(1, 2), { shape: [2] });
  for (const [code, call] of [
    ['ERR_SHAPE_MISMATCH', () => getRows(device.empty([4]), index)],
    ['ERR_SHAPE_MISMATCH', () => getRows(table, index.reshape([1, 2]))],
    ['ERR_SHAPE_MISMATCH', () => getRows(table, index, { out: device.empty([2, 7]) })],
    ['ERR_DTYPE_UNSUPPORTED', () => getRows(table, device.empty([2]))],
    ['ERR_DTYPE_UNSUPPORTED', () => getRows(device.empty([4, 8], { dtype: 'i8' }), index)],
    ['ERR_DTYPE_UNSUPPORTED', () => getRows(table, index, { dtype: 'i32' })],
  ] as const) {
    await expect(call()).rejects.toMatchObject({ code });
  }
});
