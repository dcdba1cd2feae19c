import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { QuantizedTensor } from '../../ts/device/tensor.ts';
import {
  dequantize,
  encodeExperts,
  expertMatmul,
  explainExperts,
  MatmulDispatcher,
  type Precision,
  quantize,
  type Tensor,
  type Weights,
} from '../../ts/index.ts';
import { BACKEND, runs, testDevice } from '../support/device.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { anyStride, plainStride, type Stride, stridedTensor } from '../support/strided.ts';
import { uniform } from '../support/values.ts';

const device = await testDevice();
const FLOATS = ['f32', 'f16', 'bf16'] as const;
/** What GPU kernels are compiled for takes the test's time: other tests have the other formats. */
const FORMATS = BACKEND === 'cpu' ? [null, 'q4_k', 'q6_k', 'q8_0'] : [null, 'q4_k'];
const dispatcher = new MatmulDispatcher(device);

interface Case {
  readonly format: string | null;
  readonly precision: Precision;
  readonly used: number;
  readonly ids: readonly number[];
  readonly experts: number;
  readonly n: number;
  /** Blocks of 256. */
  readonly blocks: number;
  /** All experts of a token get the same row. */
  readonly shared: boolean;
  readonly gated: boolean;
  readonly biased: boolean;
  readonly outDType: 'f32' | 'f16' | 'bf16';
  readonly aStride: Stride;
  readonly outStride: Stride;
  readonly idStride: Stride;
  readonly seed: number;
}

function weightsOf(
  format: string | null,
  shape: readonly number[],
  seed: number,
): { tensor: Weights; values: Float32Array } {
  const raw = uniform(
    shape.reduce((x, y) => x * y, 1),
    seed,
  );
  if (format === null) return { tensor: device.tensor(raw, { shape }), values: raw };
  const bytes = quantize(format as 'q4_k', raw);
  return { tensor: device.quantized(bytes, { format, shape }), values: dequantize(format as 'q4_k', bytes) };
}

const indices = (ids: readonly number[], used: number, stride: Stride = plainStride(2)) => {
  const shape = [ids.length / used, used];
  const { tensor } = stridedTensor(device, shape, 'i32', stride, 1);
  const plain = device.tensor(Int32Array.from(ids), { shape });
  return { tensor, plain };
};

async function check(c: Case): Promise<void> {
  const [tokens, k] = [c.ids.length / c.used, 256 * c.blocks];
  const rows = c.shared ? 1 : c.used;
  const a = stridedTensor(device, [tokens, rows, k], 'f32', c.aStride, c.seed);
  const b = weightsOf(c.format, [c.experts, c.n, k], c.seed + 1);
  const gate = c.gated ? weightsOf(c.format, [c.experts, c.n, k], c.seed + 2) : undefined;
  const flat = (seed: number) => uniform(c.experts * c.n, c.seed + seed);
  const bias = c.biased ? flat(3) : undefined;
  const gateBias = c.biased && c.gated ? flat(4) : undefined;
  const tensor = (values: Float32Array | undefined) => values && device.tensor(values, { shape: [c.experts, c.n] });
  const ids = indices(c.ids, c.used, c.idStride);
  await device.submit([device.elementwise.copy(ids.plain, ids.tensor)]);
  const out = stridedTensor(device, [tokens, c.used, c.n], c.outDType, c.outStride, 5).tensor;
  await device.submit([device.elementwise.copy(nan.broadcastTo(out.shape), out)]);
  const activation = c.gated ? 'silu' : c.biased ? 'gelu' : 'none';
  const result = await expertMatmul(dispatcher, {
    ...{ a: a.tensor, b: b.tensor, ids: ids.tensor, out, alpha: 0.5, activation, precision: c.precision },
    ...{ bias: tensor(bias), gateBias: tensor(gateBias), gate: gate?.tensor },
  });
  expect(result).toBe(out);
  const got = await result.read();
  c.ids.forEach((expert, pair) => {
    const row = c.shared ? Math.floor(pair / c.used) : pair;
    const own = (values: Float32Array, each: number) => values.subarray(expert * each, (expert + 1) * each);
    const { values, bounds } = referenceMatmul({
      ...{ batch: 1, m: 1, n: c.n, k, a: a.values.subarray(row * k, (row + 1) * k), b: own(b.values, c.n * k) },
      ...{
        gate: gate && own(gate.values, c.n * k),
        bias: bias && own(bias, c.n),
        gateBias: gateBias && own(gateBias, c.n),
      },
      ...{
        alpha: 0.5,
        beta: 0,
        activation,
        outDType: c.outDType,
        fast: c.precision === 'fast' && (c.format !== null || BACKEND === 'metal'),
      },
    });
    const miss = firstMiss(got.subarray(pair * c.n, (pair + 1) * c.n), values, bounds);
    expect(miss, `pair ${pair} of ${JSON.stringify(c)}`).toBeNull();
  });
}
const nan = device.tensor([Number.NaN], { shape: [1, 1, 1] });

it('multiplies each row by the weights of its experts, whatever was chosen, whichever way it lies', async () => {
  const anyCase: fc.Arbitrary<Case> = fc
    .record({
      used: fc.integer({ min: 1, max: 4 }),
      tokens: fc.integer({ min: 1, max: 5 }),
      experts: fc.constantFrom(1, 2, 5, 33),
    })
    .chain(({ used, tokens, experts }) =>
      fc.record({
        ...{ used: fc.constant(used), experts: fc.constant(experts) },
        format: fc.constantFrom(...FORMATS),
        precision: fc.constantFrom<Precision>('fast', 'fast', 'exact'),
        ids: fc.array(fc.integer({ min: 0, max: experts - 1 }), { minLength: used * tokens, maxLength: used * tokens }),
        ...{ n: fc.constantFrom(1, 3, 8, 19), blocks: fc.constantFrom(1, 2) },
        ...{ shared: fc.boolean(), gated: fc.boolean(), biased: fc.boolean() },
        outDType: fc.constantFrom(...(BACKEND === 'metal' ? FLOATS.slice(0, 1) : FLOATS)),
        ...{ aStride: anyStride(3), outStride: anyStride(3), idStride: anyStride(2) },
        seed: fc.integer({ min: 1, max: 2 ** 30 }),
      }),
    );
  await fc.assert(fc.asyncProperty(anyCase, check), { numRuns: BACKEND === 'metal' ? 3 : runs(60) });
});

const plain = {
  aStride: plainStride(3),
  outStride: plainStride(3),
  idStride: plainStride(2),
  outDType: 'f32',
} as const;

it('takes the same expert many times, beside experts that nobody chose', async () => {
  const ids = Array.from({ length: 22 }, (_, i) => (i === 7 ? 3 : 1));
  for (const precision of ['fast', 'exact'] as const) {
    await check({
      ...{ format: 'q4_k', precision, used: 2, ids, experts: 4, n: 5, blocks: 1, shared: true, gated: true },
      ...{ biased: true, seed: 9, ...plain },
    });
  }
});

it('gives empty results for no tokens, no experts per token and no rows of weights', async () => {
  const b = device.empty([3, 4, 8]);
  for (const [tokens, used] of [
    [0, 2],
    [2, 0],
    [0, 0],
  ] as const) {
    const ids = device.empty([tokens, used], { dtype: 'i32' });
    const result = await expertMatmul(dispatcher, { a: device.empty([tokens, 8]), b, ids });
    expect([result.shape, result.size]).toEqual([[tokens, used, 4], 0]);
  }
  const ids = device.empty([2, 1], { dtype: 'i32' });
  const none = await expertMatmul(dispatcher, { a: device.empty([2, 8]), b: device.empty([3, 0, 8]), ids });
  expect(none.shape).toEqual([2, 1, 0]);
  const sums = await expertMatmul(dispatcher, { a: device.empty([2, 0]), b: device.empty([3, 4, 0]), ids });
  expect(await sums.read()).toEqual(new Float32Array(8));
});

it('names an id that is no expert, and multiplies nothing', async () => {
  const b = weightsOf('q4_k', [3, 2, 256], 1).tensor;
  const a = device.tensor(uniform(512, 2), { shape: [2, 256] });
  const out = device.tensor(new Float32Array(8).fill(7), { shape: [2, 2, 2] });
  for (const id of [-1, 3, 2 ** 31 - 1, -(2 ** 31)]) {
    const ids = indices([0, 1, id, 2], 2).plain;
    for (const precision of ['fast', 'exact'] as const) {
      await expect(expertMatmul(dispatcher, { a, b, ids, out, precision })).rejects.toMatchObject({
        code: 'ERR_OUT_OF_BOUNDS',
        details: { token: 1, slot: 0, id, experts: 3 },
      });
    }
    expect(await out.read()).toEqual(new Float32Array(8).fill(7));
  }
  const no = device.quantized(new Uint8Array(0), { format: 'q4_k', shape: [0, 2, 256] });
  const call = expertMatmul(dispatcher, { a, b: no, ids: indices([0, 0], 1).plain });
  await expect(call).rejects.toMatchObject({ code: 'ERR_OUT_OF_BOUNDS' });
});

it('refuses operands of other shapes and types', async () => {
  const b = device.empty([3, 4, 8]);
  const ids = device.empty([2, 2], { dtype: 'i32' });
  const a = device.empty([2, 8]);
  const bad: [string, Parameters<typeof expertMatmul>[1]][] = [
    ['ERR_SHAPE_MISMATCH', { a, b, ids: device.empty([4], { dtype: 'i32' }) }],
    ['ERR_SHAPE_MISMATCH', { a, b: device.empty([4, 8]), ids }],
    ['ERR_SHAPE_MISMATCH', { a: device.empty([2, 3, 8]), b, ids }],
    ['ERR_SHAPE_MISMATCH', { a: device.empty([3, 8]), b, ids }],
    ['ERR_SHAPE_MISMATCH', { a: device.empty([2, 7]), b, ids }],
    ['ERR_SHAPE_MISMATCH', { a, b, ids, out: device.empty([4, 4]) }],
    ['ERR_SHAPE_MISMATCH', { a, b, ids, bias: device.empty([4]) }],
    ['ERR_SHAPE_MISMATCH', { a, b, ids, gate: device.empty([3, 4, 9]) }],
    ['ERR_DTYPE_UNSUPPORTED', { a, b, ids: device.empty([2, 2]) }],
    ['ERR_DTYPE_UNSUPPORTED', { a: device.empty([2, 8], { dtype: 'i8' }), b, ids }],
    ['ERR_DTYPE_UNSUPPORTED', { a, b, ids, outDType: 'i32' }],
    ['ERR_INVALID_ARGUMENT', { a, b, ids, gateBias: device.empty([3, 4]) }],
    ['ERR_INVALID_ARGUMENT', { a, b, ids, activation: 'cube' as 'none' }],
  ];
  for (const [code, args] of bad) await expect(expertMatmul(dispatcher, args)).rejects.toMatchObject({ code });
});

it('explains what runs it', () => {
  const b = weightsOf('q4_k', [4, 8, 256], 1).tensor as QuantizedTensor;
  const of = (tokens: number, precision: Precision) =>
    explainExperts(dispatcher, {
      a: device.empty([tokens, 256]),
      b,
      ids: device.empty([tokens, 2], { dtype: 'i32' }),
      precision,
    });
  const [few, many, exact] = [of(3, 'fast'), of(100, 'fast'), of(3, 'exact')];
  expect(many.kernel).toBe('by expert');
  expect(many.perExpert?.variant).toBe('QuantGemm');
  expect(String(many)).toContain('for 50 rows of one expert:\nmatmul m=50 n=8 k=256');
  if (BACKEND !== 'hip') return expect(few.kernel).toBe('by expert');
  expect([few.kernel, exact.kernel]).toEqual(['hip_moe_gemv', 'by expert']);
  expect(String(few)).toContain('→ hip_moe_gemv');
  expect(exact.candidates[0]).toMatchObject({
    verdict: 'refused',
    reason: expect.stringContaining('precision is exact'),
  });
  expect(many.candidates[0]).toMatchObject({ verdict: 'passed over' });
});

it('runs in a list with what comes before and after, and ends when it is aborted', async () => {
  const a = device.tensor(uniform(512, 2), { shape: [2, 256] });
  const scaled: Tensor = device.empty([2, 256]);
  const { tensor: b, values } = weightsOf('q4_k', [3, 2, 256], 1);
  const ids = indices([2, 0], 1).plain;
  const later = device.empty([2, 1], { dtype: 'i32' });
  // Neither the rows nor the ids are known when the list is made.
  const list = [
    device.elementwise.copy(a, scaled),
    device.elementwise.copy(ids, later),
    ...encodeExperts(dispatcher, { a: scaled, b, ids: later }).commands,
  ];
  const experts = encodeExperts(dispatcher, { a: scaled, b, ids: later });
  const { timings } = await device.submit([...list, ...experts.commands], { timings: true });
  expect(timings).toHaveLength(list.length + experts.commands.length);
  const got = await experts.out.read();
  const rows = [2, 0].flatMap((expert, t) =>
    [0, 1].map((n) => {
      const row = values.subarray((expert * 2 + n) * 256, (expert * 2 + n + 1) * 256);
      return row.reduce((sum, weight, i) => sum + weight * uniform(512, 2)[t * 256 + i]!, 0);
    }),
  );
  rows.forEach((value, i) => void expect(got[i]).toBeCloseTo(value, 3));
  const abort = new AbortController();
  const running = expertMatmul(dispatcher, { a, b, ids }, { signal: abort.signal });
  abort.abort(new Error('enough'));
  await running.catch((error: Error) => void expect(error.message).toBe('enough'));
});

it('leaves the ids to the device in lists that are recorded', async () => {
  const { tensor: b } = weightsOf('q4_k', [3, 2, 256], 1);
  const args = { a: device.tensor(uniform(512, 2), { shape: [2, 256] }), b, precision: 'fast' } as const;
  const ids = indices([2, 0, 1, 2], 2).plain;
  const experts = encodeExperts(dispatcher, { ...args, ids }, { check: false });
  if (BACKEND !== 'hip') {
    expect(() => device.record(experts.commands)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    return;
  }
  using recorded = device.record(experts.commands);
  for (const chosen of [
    [2, 0, 1, 2],
    [0, 0, 0, 1],
  ]) {
    ids.buffer.write(new Uint8Array(Int32Array.from(chosen).buffer));
    await recorded.submit();
    using own = await expertMatmul(dispatcher, { ...args, ids });
    expect(await experts.out.read()).toEqual(await own.read());
  }
  const before = await experts.out.read();
  ids.buffer.write(new Uint8Array(Int32Array.of(-1, 3, 0, 1).buffer));
  await recorded.submit();
  expect((await experts.out.read()).subarray(0, 4)).toEqual(before.subarray(0, 4));
});

it('ends what is in flight when the device is disposed', async () => {
  const other = await testDevice();
  const b = other.tensor(uniform(3 * 2 * 256, 1), { shape: [3, 2, 256] });
  const args = { a: other.empty([2, 256]), b, ids: other.empty([2, 2], { dtype: 'i32' }) };
  const running = expertMatmul(new MatmulDispatcher(other), args);
  await other.dispose();
  expect((await running).shape).toEqual([2, 2, 2]);
});
