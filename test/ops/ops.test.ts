import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AsyncKernelLauncher,
  BatchQuantizedMatmul,
  dequantize,
  dequantizeTensor,
  KernelTimer,
  MatmulDispatcher,
  QuantFormat,
  quantize,
  softmax,
} from '../../ts/index.ts';
import { BACKEND, isas, onCpu, onGpu, runs, testDevice } from '../support/device.ts';
import { anyStride, stridedTensor } from '../support/strided.ts';
import { EPS, rounded, uniform } from '../support/values.ts';
import { itOn } from '../support/where.ts';

const device = await testDevice();
const formats = QuantFormat.list().filter(({ id }) => id !== undefined);

describe.each(isas)('softmax on %s', async (isa) => {
  const own = await testDevice({ isa });
  const dtype = fc.constantFrom('f32' as const, 'f16' as const, 'bf16' as const);

  it('agrees with float64 along any dimension, strided, scaled and masked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(1, 2, 3, 5, 17, 33), { minLength: 1, maxLength: 3 }).chain((shape) =>
          fc.record({
            shape: fc.constant(shape),
            stride: anyStride(shape.length),
            dimension: fc.integer({ min: -shape.length, max: shape.length - 1 }),
          }),
        ),
        dtype,
        dtype,
        fc.constantFrom('none', 'full', 'row', 'all') as fc.Arbitrary<'none' | 'full' | 'row' | 'all'>,
        fc.constantFrom(1, 0.125, 30),
        fc.integer({ min: 1, max: 2 ** 30 }),
        async ({ shape, stride, dimension }, type, maskType, masking, scale, seed) => {
          const { tensor, values } = stridedTensor(own, shape, type, stride, seed);
          const inner = dimension < 0 ? dimension + shape.length : dimension;
          // 'row' broadcasts one mask over everything else; 'all' masks every element out.
          const maskShape = masking === 'row' ? shape.map((size, i) => (i === inner ? size : 1)) : shape;
          const maskCount = maskShape.reduce<number>((x, y) => x * y, 1);
          const maskValues = uniform(maskCount, seed + 1).map((value) =>
            masking === 'all' || value > 0.6 ? Number.NEGATIVE_INFINITY : rounded(value, maskType),
          );
          const mask = masking === 'none' ? undefined : own.tensor(maskValues, { shape: maskShape, dtype: maskType });
          const result = await (await softmax(tensor, { dimension, scale, mask })).read();
          const step = shape.slice(inner + 1).reduce<number>((x, y) => x * y, 1);
          const length = shape[inner]!;
          for (let i = 0; i < values.length; i++) {
            if (Math.floor(i / step) % length !== 0) continue;
            const logits = Array.from({ length }, (_, t) => {
              const at = i + t * step;
              const added = masking === 'none' ? 0 : maskValues[masking === 'row' ? t : at]!;
              return scale * values[at]! + added;
            });
            const largest = Math.max(...logits);
            const weights = logits.map((logit) =>
              largest === Number.NEGATIVE_INFINITY ? 0 : Math.exp(logit - largest),
            );
            const sum = weights.reduce((x, y) => x + y, 0);
            for (let t = 0; t < length; t++) {
              const expected = sum === 0 ? 0 : weights[t]! / sum;
              // The argument of exp is off by its rounding, which exp turns into a relative error of that size.
              const relative = EPS.f32 * (8 + length + 4 * Math.abs(scale)) * 2;
              const bound = expected * (relative + 2 * EPS[type]) + 2 ** -25;
              const error = Math.abs(result[i + t * step]! - expected);
              if (!(error <= bound)) expect.fail(`element ${i + t * step}: ${result[i + t * step]} for ${expected}`);
            }
          }
        },
      ),
      { numRuns: runs(120) },
    );
  });

  it('writes in place, passes NaN on and leaves other rows alone', async () => {
    const x = own.tensor([1, 2, Number.NaN, 4, 0, 0], { shape: [2, 3] });
    const result = await softmax(x, { out: x });
    expect(result).toBe(x);
    const [a, b, c, ...rest] = await x.read();
    expect([a, b, c]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    const sum = Math.exp(4) + 2;
    expect(rest[0]).toBeCloseTo(Math.exp(4) / sum, 6);
  });
});

it.each<[string, string, () => Promise<unknown>]>([
  ['a dimension that is not there', 'ERR_SHAPE_MISMATCH', () => softmax(device.empty([2]), { dimension: 1 })],
  ['integers', 'ERR_DTYPE_UNSUPPORTED', () => softmax(device.empty([2], { dtype: 'i32' }))],
  ['a result of another shape', 'ERR_SHAPE_MISMATCH', () => softmax(device.empty([2]), { out: device.empty([3]) })],
  [
    'a mask that does not broadcast',
    'ERR_SHAPE_MISMATCH',
    () => softmax(device.empty([2]), { mask: device.empty([3]) }),
  ],
])('softmax refuses %s', async (_, code, run) => {
  await expect(run()).rejects.toMatchObject({ code });
});

describe.each(isas)('dequantize on %s', async (isa) => {
  const own = await testDevice({ isa });
  // HIP kernels subtract where the decoder multiplies: zeros are +0.
  const zeros = (value: number) => (BACKEND === 'hip' ? value + 0 : value);
  it.each(formats.map(({ name }) => name))('gives the bits of the scalar decoder for %s', async (format) => {
    const { blockSize } = QuantFormat.get(format);
    const [n, k] = [7, 3 * blockSize];
    const bytes = quantize(format, uniform(n * k, 21));
    const expected = dequantize(format, bytes).map(zeros);
    const weights = own.quantized(bytes, { format, shape: [n, k] });
    const read = async (dtype: 'f32' | 'f16' | 'bf16') =>
      (await (await dequantizeTensor(weights, dtype)).read()).map(zeros);
    expect(await read('f32')).toEqual(expected);
    expect(await read('f16')).toEqual(expected.map((v) => rounded(v, 'f16')));
    expect(await read('bf16')).toEqual(expected.map((v) => rounded(v, 'bf16')));
    const reversed = weights.slice({ step: -3 });
    const rows = [6, 3, 0].flatMap((row) => [...expected.subarray(row * k, (row + 1) * k)]);
    expect([...(await (await dequantizeTensor(reversed)).read())].map(zeros)).toEqual(rows);
  });
});

describe('quantize and dequantize', () => {
  it.each<[string, string, () => unknown]>([
    ['an unknown format', 'ERR_FORMAT_UNKNOWN', () => quantize('q9_9', new Float32Array(32))],
    ['values that are not whole blocks', 'ERR_SHAPE_MISMATCH', () => quantize('q4_k', new Float32Array(32))],
    ['bytes that are not whole blocks', 'ERR_SHAPE_MISMATCH', () => dequantize('q4_k', new Uint8Array(143))],
    ['plain arrays', 'ERR_INVALID_ARGUMENT', () => quantize('q4_0', [1, 2] as unknown as Float32Array)],
    ['other views', 'ERR_INVALID_ARGUMENT', () => dequantize('q4_0', new Int8Array(18) as unknown as Uint8Array)],
  ])('refuse %s', (_, code, run) => {
    expect(run).toThrowError(expect.objectContaining({ code }));
  });

  it('take nothing and give nothing', () => {
    expect(quantize('q4_0', new Float32Array(0))).toEqual(new Uint8Array(0));
    expect(dequantize('q4_0', new Uint8Array(0))).toEqual(new Float32Array(0));
  });

  it('read views that do not start at the beginning of their memory', () => {
    const bytes = quantize('q6_k', uniform(512, 3));
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(dequantize('q6_k', shifted.subarray(1))).toEqual(dequantize('q6_k', bytes));
  });
});

describe('BatchQuantizedMatmul', () => {
  const k = 512;
  const input = device.tensor(uniform(3 * k, 1), { shape: [3, k] });
  const op = (format: string, n: number, seed: number) => ({
    weights: device.quantized(quantize(format, uniform(n * k, seed)), { format, shape: [n, k] }),
    label: format,
  });

  it('gives what single matmuls give, with times per op and in total', async () => {
    const ops = formats.map(({ name }, i) => op(name, 5 + i, i + 2));
    for (const precision of ['exact', 'fast'] as const) {
      using batch = new BatchQuantizedMatmul(device, { precision });
      using single = new MatmulDispatcher(device, { precision });
      const result = await batch.run(input, ops);
      expect(result.timingsMs).toHaveLength(ops.length);
      expect(result.timingsMs.every((ms) => ms >= 0)).toBe(true);
      expect(result.totalMs).toBeGreaterThanOrEqual(result.timingsMs.reduce((x, y) => x + y, 0) * 0.99);
      for (const [i, { weights }] of ops.entries()) {
        const alone = await single.matmul({ a: input, b: weights });
        expect(await result.outputs[i]!.read()).toEqual(await alone.read());
      }
    }
  });

  // What a back end prepares is its own business; the CPU rounds to 8 bits.
  itOn(onCpu)('rounds an input that ops share once, and again when it changed in between', async () => {
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast' });
    const other = device.tensor(uniform(3 * k, 99), { shape: [3, k] });
    const [a, b, c] = [op('q4_k', 8, 2), op('q6_k', 8, 3), op('q8_0', 8, 4)];
    const count = (list: Parameters<typeof dispatcher.encodeAll>[0]) =>
      dispatcher.encodeAll(list).map(({ commands }) => commands.length);
    expect(count([a, b, c].map(({ weights }) => ({ a: input, b: weights })))).toEqual([2, 1, 1]);
    expect(
      count([
        { a: input, b: a.weights },
        { a: other, b: b.weights },
        { a: input, b: c.weights },
      ]),
    ).toEqual([2, 2, 2]);
    // The first result is in the memory of the second one's input, maybe the same: rounding must not be reused.
    const square = op('q4_k', k, 7).weights;
    const memory = device.tensor(uniform(6 * k, 5), { shape: [3, 2 * k] });
    const target = memory.slice(null, { end: k });
    expect(
      count([
        { a: target, b: square, out: memory.slice(null, { start: 1, end: k + 1 }) },
        { a: target, b: square },
      ]),
    ).toEqual([2, 2]);
  });

  it('lets ops bring inputs, epilogues and results of their own', async () => {
    using batch = new BatchQuantizedMatmul(device);
    const other = device.tensor(uniform(k, 50), { shape: [1, k] });
    const bias = device.tensor(uniform(6, 51), { shape: [6] });
    const out = device.empty([1, 6]);
    const ops = [{ ...op('q5_k', 6, 9), input: other, bias, activation: 'relu' as const, out }];
    const { outputs } = await batch.run(null, ops, { timings: false });
    expect(outputs[0]).toBe(out);
    expect((await out.read()).every((value) => value >= 0)).toBe(true);
    await expect(batch.run(null, [op('q4_0', 2, 1)])).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('stops when its signal says so', async () => {
    using batch = new BatchQuantizedMatmul(device);
    const signal = AbortSignal.abort(new Error('no more'));
    await expect(batch.run(input, [op('q4_0', 2, 1)], { signal })).rejects.toThrow('no more');
  });
});

describe('AsyncKernelLauncher', () => {
  const k = 2048;
  const a = device.tensor(uniform(k, 1), { shape: [1, k] });
  const b = device.quantized(quantize('q4_k', uniform(2048 * k, 2)), { format: 'q4_k', shape: [2048, k] });

  itOn(!onGpu)('returns at once and lets the event loop run meanwhile', async () => {
    await using launcher = new AsyncKernelLauncher(device);
    const handles = Array.from({ length: 50 }, () => launcher.launch({ a, b }));
    expect(launcher.pending).toBe(50);
    expect(handles[49]!.settled).toBe(false);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await launcher.wait();
    clearInterval(timer);
    expect(launcher.pending).toBe(0);
    expect(turns).toBeGreaterThan(0);
    const first = await handles[0]!.out.read();
    expect(await (await handles[49]!).read()).toEqual(first);
  });

  it('refuses more launches than it may have under way', async () => {
    await using launcher = new AsyncKernelLauncher(device, { maxInFlight: 2 });
    launcher.launch({ a, b });
    launcher.launch({ a, b });
    expect(() => launcher.launch({ a, b })).toThrowError(expect.objectContaining({ code: 'ERR_QUEUE_FULL' }));
    await launcher.wait();
    launcher.launch({ a, b });
  });

  itOn(!onGpu)('reports a failure to its handle and once to wait()', async () => {
    await using launcher = new AsyncKernelLauncher(device);
    const controller = new AbortController();
    for (let i = 0; i < 20; i++) launcher.launch({ a, b });
    const doomed = launcher.launch({ a, b }, { signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(doomed).rejects.toThrow('stop');
    await expect(launcher.wait()).rejects.toThrow('stop');
    await launcher.wait();
  });
});

describe('KernelTimer', () => {
  it('times nested scopes on the CPU and on the device', async () => {
    const dispatcher = new MatmulDispatcher(device);
    const timer = new KernelTimer(device);
    const { commands } = dispatcher.encode({ a: device.empty([4, 64]), b: device.empty([64, 32]) });
    {
      using layer = timer.scope('layer');
      for (const name of ['q', 'k', 'q']) {
        using scope = layer.scope(name);
        await scope.submit(commands);
      }
    }
    await timer.time('head', commands);
    expect(timer.scopes.map(({ path, depth }) => [path, depth])).toEqual([
      ['layer/q', 1],
      ['layer/k', 1],
      ['layer/q', 1],
      ['layer', 0],
      ['head', 0],
    ]);
    const summary = Object.fromEntries(timer.summary().map((entry) => [entry.path, entry]));
    expect(summary['layer/q']!.count).toBe(2);
    expect(summary.layer!.deviceMs).toBeCloseTo(summary['layer/q']!.deviceMs + summary['layer/k']!.deviceMs, 9);
    expect(summary.layer!.cpuMs).toBeGreaterThanOrEqual(summary.layer!.deviceMs);
    timer.reset();
    expect(timer.scopes).toEqual([]);
  });

  it('counts what is submitted while a scope is open for the one opened last, however it is submitted', async () => {
    const dispatcher = new MatmulDispatcher(device);
    const timer = new KernelTimer(device);
    const args = { a: device.empty([4, 64]), b: device.empty([64, 32]), out: device.empty([4, 32]) };
    const each = dispatcher.encode(args).commands.length;
    using recorded = device.record(dispatcher.encode(args).commands);
    let late: Promise<unknown>;
    {
      using layer = timer.scope('layer');
      await dispatcher.matmul(args);
      {
        using _ = layer.scope('q_proj');
        await dispatcher.matmul(args);
        await layer.submit(dispatcher.encode(args).commands);
        late = dispatcher.matmul(args);
      }
      await recorded.submit();
    }
    await late;
    await dispatcher.matmul(args);
    expect(timer.scopes.map(({ path, commands }) => [path, commands.length])).toEqual([
      ['layer/q_proj', 2 * each],
      ['layer', 3 * each],
    ]);
    const [inner, outer] = timer.scopes;
    expect(inner!.deviceMs).toBeCloseTo(
      inner!.commands.reduce((sum, { ms }) => sum + ms, 0),
      9,
    );
    expect(outer!.deviceMs).toBeCloseTo(inner!.deviceMs + outer!.commands.reduce((sum, { ms }) => sum + ms, 0), 9);
    // Nobody asks for times any more.
    expect((await device.submit(dispatcher.encode(args).commands)).timings).toEqual([]);
  });

  it('passes on failures of what it times, and counts nothing for them', async () => {
    const timer = new KernelTimer(device);
    using scope = timer.scope('fails');
    const broken = { type: 'host', label: 'broken', run: () => Promise.reject(new Error('broken')) } as const;
    await expect(scope.submit([broken])).rejects.toThrow('broken');
    scope.end();
    expect(timer.scopes).toMatchObject([{ path: 'fails', deviceMs: 0, commands: [] }]);
  });

  it('refuses work in a scope that was closed', async () => {
    const scope = new KernelTimer(device).scope('once');
    scope.end();
    scope.end();
    await expect(scope.submit([])).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    expect(() => scope.scope('inner')).toThrowError(/closed/);
  });
});
