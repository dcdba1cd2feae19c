import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Device } from '../../ts/device/device.ts';
import { Tensor } from '../../ts/device/tensor.ts';
import type { MatmulArgs } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { ACTIVATIONS, type Activation } from '../../ts/kernels/types.ts';
import { dequantize, quantize } from '../../ts/ops/quantize.ts';
import type { DType } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { BACKEND, isas, runs, testDevice } from '../support/device.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { anyStride, plainStride, type Stride, stridedLayout, stridedTensor } from '../support/strided.ts';
import { uniform } from '../support/values.ts';

type FloatType = 'f32' | 'f16' | 'bf16';
/** Sizes that hurt: one, primes, one past a tile, a little over two tiles. */
const size = fc.oneof(fc.constantFrom(1, 2, 3, 7, 8, 9, 16, 17, 31, 33, 64, 65, 97), fc.integer({ min: 1, max: 40 }));
const floatType = fc.constantFrom<FloatType>('f32', 'f16', 'bf16');

interface Case {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly aType: FloatType;
  readonly bType: FloatType;
  readonly outType: FloatType;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly sharedB: boolean;
  readonly aStride: Stride;
  readonly bStride: Stride;
  readonly outStride: Stride | null;
  readonly alpha: number;
  readonly beta: number;
  readonly bias: boolean;
  readonly residual: boolean;
  readonly gate: boolean;
  readonly activation: Activation;
  readonly seed: number;
}

const epilogue = {
  outType: floatType,
  alpha: fc.constantFrom(1, 1, -0.5, 0, 3),
  beta: fc.constantFrom(1, 0.25, -2),
  bias: fc.boolean(),
  residual: fc.boolean(),
  gate: fc.boolean(),
  activation: fc.constantFrom(...(Object.keys(ACTIVATIONS) as Activation[])),
  seed: fc.integer({ min: 1, max: 2 ** 30 }),
};

const anyCase: fc.Arbitrary<Case> = fc.record({
  batch: fc.constantFrom(1, 1, 2, 3),
  m: size,
  n: size,
  k: fc.oneof(size, fc.constantFrom(0, 128, 257)),
  aType: floatType,
  bType: floatType,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  sharedB: fc.boolean(),
  aStride: anyStride(3),
  bStride: anyStride(3),
  outStride: fc.option(anyStride(3)),
  ...epilogue,
});

/** A result whose memory holds NaN wherever the kernel does not write. */
function nanResult(device: Device, shape: readonly number[], dtype: DType, stride: Stride): Tensor {
  const { layout, size: count } = stridedLayout(shape, stride);
  const memory = device.tensor(new Float32Array(count).fill(Number.NaN), { shape: [count], dtype });
  const tensor = new Tensor(memory.buffer.retain(), dtype, layout);
  memory.dispose();
  return tensor;
}

async function checkDense(dispatcher: MatmulDispatcher, c: Case, variant?: MatmulArgs['variant']) {
  const { device } = dispatcher;
  const { batch, m, n, k } = c;
  const bBatch = c.sharedB ? 1 : batch;
  const make = (
    rows: number,
    cols: number,
    transposed: boolean,
    z: number,
    dtype: FloatType,
    stride: Stride,
    seed: number,
  ) => {
    // Values are made as [z, rows, cols]; a transposed operand is a view of them the other way round.
    const { tensor, values } = stridedTensor(device, [z, rows, cols], dtype, stride, seed);
    if (!transposed) return { tensor, values };
    const view = tensor.transpose();
    tensor.dispose();
    return { tensor: view, values };
  };
  const a = make(m, k, c.transposeA, batch, c.aType, c.aStride, c.seed);
  const b = make(n, k, !c.transposeB, bBatch, c.bType, c.bStride, c.seed + 1);
  const gate = c.gate ? make(n, k, !c.transposeB, bBatch, c.bType, c.bStride, c.seed + 2) : null;
  const bias = c.bias ? stridedTensor(device, [n], 'f32', plainStride(1), c.seed + 3) : null;
  const residual = c.residual ? stridedTensor(device, [batch, m, n], c.outType, plainStride(3), c.seed + 4) : null;
  const out = c.outStride === null ? null : nanResult(device, [batch, m, n], c.outType, c.outStride);
  const result = await dispatcher.matmul({
    a: a.tensor,
    b: b.tensor,
    transposeA: c.transposeA,
    transposeB: c.transposeB,
    gate: gate?.tensor,
    bias: bias?.tensor,
    residual: residual?.tensor,
    beta: residual ? c.beta : undefined,
    alpha: c.alpha,
    activation: c.activation,
    ...(out ? { out } : { outDType: c.outType }),
    ...(variant ? { variant } : {}),
  });
  expect(result.shape).toEqual([batch, m, n]);
  const got = await result.read();
  const { values, bounds } = referenceMatmul({
    batch,
    m,
    n,
    k,
    a: a.values,
    b: b.values,
    gate: gate?.values,
    bias: bias?.values,
    residual: residual?.values,
    alpha: c.alpha,
    beta: c.beta,
    activation: c.activation,
    outDType: c.outType,
    fast: false,
  });
  expect(firstMiss(got, values, bounds)).toBeNull();
  for (const tensor of [a.tensor, b.tensor, gate?.tensor, bias?.tensor, residual?.tensor, result]) tensor?.dispose();
}

describe.each(isas)('matmul on %s', async (isa) => {
  const device = await testDevice({ isa });
  const dispatcher = new MatmulDispatcher(device);

  it('agrees with float64 on any strides, types, batches and epilogues', async () => {
    await fc.assert(
      fc.asyncProperty(anyCase, (c) => checkDense(dispatcher, c)),
      { numRuns: runs(200) },
    );
  });

  it.each(['Gemv', 'GemmTiled', 'Reference'] as const)('agrees with float64 when %s is asked for', async (variant) => {
    await fc.assert(
      fc.asyncProperty(anyCase, (c) => checkDense(dispatcher, { ...c, m: Math.min(c.m, 33) }, variant)),
      { numRuns: runs(60) },
    );
  });

  const formats = QuantFormat.list().filter(({ id }) => id !== undefined);
  it.each(formats.map(({ name }) => name))(
    'multiplies %s weights within the bound of each precision',
    async (format) => {
      const { blockSize } = QuantFormat.get(format);
      await fc.assert(
        fc.asyncProperty(
          fc.record({
            m: fc.constantFrom(1, 2, 3, 5, 8, 9, 16, 17, 33),
            n: fc.constantFrom(1, 2, 3, 5, 16, 31, 33, 65),
            blocks: fc.constantFrom(1, 2, 3, 5),
            precision: fc.constantFrom('exact' as const, 'fast' as const),
            aType: floatType,
            aStride: anyStride(2),
            ...epilogue,
          }),
          async (c) => {
            const k = blockSize * c.blocks;
            const weights = (seed: number) => {
              const bytes = quantize(format, uniform(c.n * k, seed));
              return {
                tensor: device.quantized(bytes, { format, shape: [c.n, k] }),
                values: dequantize(format, bytes),
              };
            };
            const a = stridedTensor(device, [c.m, k], c.aType, c.aStride, c.seed);
            const b = weights(c.seed + 1);
            const gate = c.gate ? weights(c.seed + 2) : null;
            const bias = c.bias ? stridedTensor(device, [c.n], 'f32', plainStride(1), c.seed + 3) : null;
            const residual = c.residual ? stridedTensor(device, [c.m, c.n], 'f32', plainStride(2), c.seed + 4) : null;
            const out = nanResult(device, [c.m, c.n], c.outType, plainStride(2));
            await dispatcher.matmul({
              a: a.tensor,
              b: b.tensor,
              transposeB: true,
              gate: gate?.tensor,
              bias: bias?.tensor,
              residual: residual?.tensor,
              beta: residual ? c.beta : undefined,
              alpha: c.alpha,
              activation: c.activation,
              precision: c.precision,
              out,
            });
            const { values, bounds } = referenceMatmul({
              ...c,
              batch: 1,
              k,
              a: a.values,
              b: b.values,
              gate: gate?.values,
              bias: bias?.values,
              residual: residual?.values,
              outDType: c.outType,
              fast: c.precision === 'fast',
            });
            expect(firstMiss(await out.read(), values, bounds)).toBeNull();
            for (const tensor of [a.tensor, b.tensor, gate?.tensor, bias?.tensor, residual?.tensor, out])
              tensor?.dispose();
          },
        ),
        { numRuns: runs(40) },
      );
    },
  );

  it('multiplies affine integer weights, per tensor, per row and per group', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          m: fc.constantFrom(1, 2, 7, 9, 33),
          n: fc.constantFrom(1, 3, 16, 33),
          groups: fc.constantFrom(1, 2, 5),
          group: fc.constantFrom(1, 7, 32),
          transposeB: fc.boolean(),
          mode: fc.constantFrom('number', 'row', 'group'),
          zero: fc.boolean(),
          offset: fc.boolean(),
          seed: fc.integer({ min: 1, max: 2 ** 30 }),
        }),
        async ({ m, n, groups, group, transposeB, mode, zero, offset, seed }) => {
          const k = groups * group;
          const a = stridedTensor(device, [m, k], 'f32', plainStride(2), seed);
          const q = stridedTensor(device, [n, k], 'i8', plainStride(2), seed + 1);
          const entries = mode === 'number' ? 1 : mode === 'row' ? n : n * groups;
          const make = (s: number, factor: number) => {
            const values = uniform(entries, s).map((value) => value * factor);
            if (mode === 'number') return { values, arg: values[0]! };
            return { values, arg: device.tensor(values, { shape: mode === 'row' ? [n] : [n, groups] }) };
          };
          const scale = make(seed + 2, 0.02);
          const zeroPoint = zero ? make(seed + 3, 50) : null;
          const shift = offset ? make(seed + 4, 1) : null;
          const entry = (values: Float32Array, j: number, i: number) =>
            values[mode === 'number' ? 0 : mode === 'row' ? j : j * groups + Math.floor(i / group)]!;
          const b = new Float32Array(n * k);
          // The kernels compute each weight in f32; so does the reference, to leave only the product's rounding.
          for (let j = 0; j < n; j++) {
            for (let i = 0; i < k; i++) {
              const plain = Math.fround(q.values[j * k + i]! - (zeroPoint ? entry(zeroPoint.values, j, i) : 0));
              const scaled = Math.fround(entry(scale.values, j, i) * plain);
              b[j * k + i] = Math.fround(scaled + (shift ? entry(shift.values, j, i) : 0));
            }
          }
          const weights = transposeB ? q.tensor : q.tensor.transpose();
          const result = await dispatcher.matmul({
            a: a.tensor,
            b: weights,
            transposeB,
            quantization: {
              scale: scale.arg,
              zeroPoint: zeroPoint?.arg,
              offset: shift?.arg,
              ...(mode === 'group' ? { groupSize: group } : {}),
            },
          });
          const { values, bounds } = referenceMatmul({
            batch: 1,
            m,
            n,
            k,
            a: a.values,
            b,
            alpha: 1,
            beta: 0,
            activation: 'none',
            outDType: 'f32',
            fast: false,
          });
          // One more rounding per weight where the compiler contracts scale * (q - zero) + offset.
          const slack = bounds.map((bound, i) => bound + 4 * 2 ** -24 * k * (Math.abs(values[i]!) + 3));
          expect(firstMiss(await result.read(), values, slack)).toBeNull();
        },
      ),
      { numRuns: runs(60) },
    );
  });

  it('gives zeros through the epilogue where k is 0', async () => {
    const a = device.tensor([], { shape: [2, 0] });
    const b = device.tensor([], { shape: [3, 0] });
    const bias = device.tensor([1, 2, 3], { shape: [3] });
    const result = await dispatcher.matmul({ a, b, transposeB: true, bias });
    expect([...(await result.read())]).toEqual([1, 2, 3, 1, 2, 3]);
    const blocks = device.quantized(new Uint8Array(), { format: 'q8_0', shape: [3, 0] });
    for (const precision of ['exact', 'fast'] as const) {
      const empty = await dispatcher.matmul({ a, b: blocks, bias, precision });
      expect([...(await empty.read())]).toEqual([1, 2, 3, 1, 2, 3]);
    }
  });

  it('gives empty results for empty operands', async () => {
    const a = device.tensor([], { shape: [0, 5] });
    const b = device.tensor([1, 2, 3, 4, 5], { shape: [1, 5] });
    const result = await dispatcher.matmul({ a, b, transposeB: true });
    expect(result.shape).toEqual([0, 1]);
    expect((await result.read()).length).toBe(0);
  });

  it('passes NaN and infinity on', async () => {
    const a = device.tensor([1, Number.NaN, 1, Number.POSITIVE_INFINITY], { shape: [2, 2] });
    const b = device.tensor([1, 1, 2, 2], { shape: [2, 2] });
    expect([...(await (await dispatcher.matmul({ a, b })).read())]).toEqual([
      Number.NaN,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
    const bytes = quantize('q4_0', uniform(64, 5));
    const x = uniform(32, 6);
    x[7] = Number.NaN;
    const weights = device.quantized(bytes, { format: 'q4_0', shape: [2, 32] });
    for (const precision of ['exact', 'fast'] as const) {
      const result = await dispatcher.matmul({ a: device.tensor(x, { shape: [1, 32] }), b: weights, precision });
      expect([...(await result.read())]).toEqual([Number.NaN, Number.NaN]);
    }
  });

  // Where Metal's compiler may assume that there is no such number, activations cannot promise anything.
  it.runIf(BACKEND !== 'metal')('keeps NaN through every activation, and the limits at infinity', async () => {
    const x = device.tensor([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], { shape: [3, 1] });
    const one = device.tensor([1], { shape: [1, 1] });
    for (const activation of Object.keys(ACTIVATIONS) as Activation[]) {
      const [nan, high, low] = await (await dispatcher.matmul({ a: x, b: one, activation })).read();
      const bounded = activation === 'sigmoid' || activation === 'tanh';
      expect([activation, nan, high]).toEqual([activation, Number.NaN, bounded ? 1 : Number.POSITIVE_INFINITY]);
      // x times a factor that is 0 has no limit in floats.
      const limits = { none: Number.NEGATIVE_INFINITY, relu: 0, sigmoid: 0, tanh: -1 };
      expect([activation, low === 0 ? 0 : low]).toEqual([activation, limits[activation as 'relu'] ?? Number.NaN]);
    }
  });

  it('adds to what `out` holds when beta says so', async () => {
    const a = device.tensor([1, 2], { shape: [1, 2] });
    const b = device.tensor([3, 4, 5, 6], { shape: [2, 2] });
    const out = device.tensor([100, 1000], { shape: [1, 2] });
    await dispatcher.matmul({ a, b, out, beta: 0.5 });
    expect([...(await out.read())]).toEqual([13 + 50, 16 + 500]);
  });

  it('takes vectors on either side', async () => {
    const matrix = device.tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] });
    const three = device.tensor([1, 0, -1], { shape: [3] });
    const two = device.tensor([1, -1], { shape: [2] });
    const left = await dispatcher.matmul({ a: two, b: matrix });
    const right = await dispatcher.matmul({ a: matrix, b: three });
    const both = await dispatcher.matmul({ a: three, b: three });
    expect([left.shape, right.shape, both.shape]).toEqual([[3], [2], []]);
    expect([...(await left.read())]).toEqual([-3, -3, -3]);
    expect([...(await right.read())]).toEqual([-2, -2]);
    expect([...(await both.read())]).toEqual([2]);
  });

  it('reads weights through row views: slices, reversed rows and one row for all', async () => {
    const k = 64;
    const bytes = quantize('q8_0', uniform(6 * k, 9));
    const whole = device.quantized(bytes, { format: 'q8_0', shape: [6, k] });
    const reversed = whole.slice({ start: 4, end: 0, step: -2 });
    const a = device.tensor(uniform(3 * k, 10), { shape: [3, k] });
    const all = await (await dispatcher.matmul({ a, b: whole, precision: 'fast' })).read();
    const some = await (await dispatcher.matmul({ a, b: reversed, precision: 'fast' })).read();
    expect(reversed.shape).toEqual([2, k]);
    expect([...some]).toEqual([0, 1, 2].flatMap((m) => [all[m * 6 + 4], all[m * 6 + 2]]));
  });
});
