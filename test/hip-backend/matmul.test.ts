import { describe, expect, it } from 'vitest';
import { type Device, type MatmulArgs, MatmulDispatcher } from '../../ts/index.ts';
import { dequantize, quantize } from '../../ts/ops/quantize.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { rounded, uniform } from '../support/values.ts';
import { hasClang, openSoft } from './support.ts';

// The whole matrix runs at wave 32; here is what waves of 64 lanes change: reductions, splits of k, tiles.
describe.runIf(hasClang)('Matmul at wave 64', () => {
  const shapes = [
    [1, 5, 1024],
    [3, 33, 256],
    [8, 2, 2048],
    [9, 70, 512],
    [65, 130, 256],
  ] as const;

  it.each([
    ['q4_k', 'fast'],
    ['q6_k', 'fast'],
    ['q8_0', 'fast'],
    ['q4_k', 'exact'],
    [null, 'exact'],
  ] as const)('multiplies %s weights, %s, with bias, gate and residual', async (name, precision) => {
    await using device = openSoft({ arch: 'gfx906' });
    using dispatcher = new MatmulDispatcher(device, { precision });
    for (const [m, n, k] of shapes) {
      const weights = (seed: number) => {
        const raw = uniform(n * k, seed);
        if (name === null) return { values: raw, tensor: device.tensor(raw, { shape: [n, k] }) };
        const bytes = quantize(name, raw);
        return { values: dequantize(name, bytes), tensor: device.quantized(bytes, { format: name, shape: [n, k] }) };
      };
      const [b, gate] = [weights(2), weights(3)];
      const [a, bias, gateBias, residual] = [uniform(m * k, 1), uniform(n, 4), uniform(n, 5), uniform(m * n, 6)];
      for (const gated of [false, true]) {
        const result = await dispatcher.matmul({
          a: device.tensor(a, { shape: [m, k] }),
          ...{ b: b.tensor, transposeB: true, activation: 'silu' },
          ...(gated && { gate: gate.tensor, gateBias: device.tensor(gateBias, { shape: [n] }) }),
          bias: device.tensor(bias, { shape: [n] }),
          residual: device.tensor(residual, { shape: [m, n] }),
        });
        const { values, bounds } = referenceMatmul({
          ...{ batch: 1, m, n, k, a, b: b.values, bias, residual, alpha: 1, beta: 1, activation: 'silu' },
          ...(gated && { gate: gate.values, gateBias }),
          outDType: 'f32',
          fast: precision === 'fast',
        });
        expect([m, n, k, gated, firstMiss(await result.read(), values, bounds)]).toEqual([m, n, k, gated, null]);
      }
    }
  });

  it('splits k over waves where outputs are few, and rounds shared activations once', async () => {
    await using device = openSoft({ arch: 'gfx906', units: 60 });
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast' });
    const a = device.tensor(uniform(4096, 1), { shape: [1, 4096] });
    const b = (n: number, format = 'q4_k') =>
      device.quantized(quantize(format, uniform(n * 4096, 2)), { format, shape: [n, 4096] });
    const encoded = dispatcher.encodeAll([
      { a, b: b(2) },
      { a, b: b(1000) },
      { a, b: b(3, 'q6_k') },
    ]);
    // q6_k wants its activations in another order.
    expect(encoded.map(({ commands }) => commands.map(({ label }) => label))).toEqual([
      ['hip_quantize_q8 1x4096', 'hip_gemv<q4_k c1/4> 1x2x4096'],
      ['hip_gemv<q4_k c1/1> 1x1000x4096'],
      ['hip_quantize_q8 1x4096', 'hip_gemv<q6_k c1/4> 1x3x4096'],
    ]);
    expect(dispatcher.explain({ a, b: b(2) }).toString()).toContain('→ QuantGemv (hip_gemv)');
  });

  it('takes the entries of tuning that name a format and columns', async () => {
    await using device = openSoft();
    const tuning = { 'quantGemvRows.q4_k': 3, 'gemvWaves.q4_k.c1': 1 };
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning });
    const of = (m: number, format: string) => {
      const b = device.quantized(quantize(format, uniform(64 * 256, 2)), { format, shape: [64, 256] });
      return dispatcher.select({ a: device.empty([m, 256]), b }).kernel;
    };
    expect([of(3, 'q4_k'), of(4, 'q4_k'), of(4, 'q6_k')]).toEqual(['hip_gemv', 'hip_gemm_bf16', 'hip_gemv']);
    expect(() => new MatmulDispatcher(device, { tuning: { 'quantGemvRows.q9': 3 } })).toThrow('not known');
  });

  it('decodes weights a panel at a time for exact products of many rows', async () => {
    await using device = openSoft();
    using dispatcher = new MatmulDispatcher(device, { tuning: { exactPanelMiB: 1 } });
    // One MiB has 128 rows of 2048, or 128 of each of two matrices.
    const [m, n, k] = [9, 133, 2048];
    const [raw, side] = [quantize('q4_0', uniform(n * k, 2)), quantize('q4_0', uniform(n * k, 3))];
    const weights = (bytes: Uint8Array) => device.quantized(bytes, { format: 'q4_0', shape: [n, k] });
    const [a, bias, gateBias, residual] = [uniform(m * k, 1), uniform(n, 4), uniform(n, 5), uniform(m * n, 6)];
    const out = device.empty([n, m]).transpose();
    const { commands } = dispatcher.encode({
      ...{ a: device.tensor(a, { shape: [m, k] }), b: weights(raw), gate: weights(side), out, activation: 'silu' },
      ...{ bias: device.tensor(bias, { shape: [n] }), gateBias: device.tensor(gateBias, { shape: [n] }) },
      residual: device.tensor(residual, { shape: [m, n] }),
    });
    expect(commands.map(({ label }) => label.split(' ')[0] + label.slice(label.lastIndexOf(' ')))).toEqual([
      ...['hip_dequantize<q4_0> 128x2048', 'hip_dequantize<q4_0> 128x2048', 'hip_gemm_dense<q4_0 9x133x2048'],
      ...['hip_dequantize<q4_0> 5x2048', 'hip_dequantize<q4_0> 5x2048', 'hip_gemm_dense<q4_0 9x133x2048'],
    ]);
    await device.submit(commands);
    const { values, bounds } = referenceMatmul({
      ...{ batch: 1, m, n, k, a, b: dequantize('q4_0', raw), gate: dequantize('q4_0', side), bias, gateBias, residual },
      ...{ alpha: 1, beta: 1, activation: 'silu', outDType: 'f32', fast: false },
    });
    expect(firstMiss(await out.read(), values, bounds)).toBeNull();
  });

  it('decodes integer weights on the GPU, a panel at a time', async () => {
    await using device = openSoft();
    using dispatcher = new MatmulDispatcher(device, { tuning: { exactPanelMiB: 1 } });
    const [n, k, groups] = [130, 512, 4];
    const integers = (seed: number) => {
      const codes = Int8Array.from(uniform(2 * n * k, seed), (value) => value * 127);
      return device.tensor(codes, { shape: [2, k, n] });
    };
    const entries = (seed: number, shape: number[]) =>
      device.tensor(
        uniform(
          shape.reduce((x, y) => x * y),
          seed,
        ),
        { shape },
      );
    const args: MatmulArgs = {
      ...{
        a: device.tensor(uniform(2 * 3 * k, 1), { shape: [2, 3, k], dtype: 'f16' }),
        b: integers(2),
        gate: integers(3),
      },
      quantization: { scale: entries(4, [n, groups]), zeroPoint: 3, offset: entries(5, [n]) },
      gateQuantization: { scale: 0.01, zeroPoint: entries(6, [n, groups]) },
      ...{ bias: entries(7, [n]), activation: 'silu' },
    };
    const codes = Int8Array.from(uniform(2 * 3 * k, 8), (value) => value * 127);
    for (const [variant, kernel, a, count] of [
      ['GemmTiled', 'hip_gemm_dense', args.a, 10],
      // Activations of integers become f32, once.
      ['Gemv', 'hip_gemv_dense', device.tensor(codes, { shape: [2, 3, k] }), 11],
    ] as const) {
      const { out, commands, selection } = dispatcher.encode({ ...args, a, variant });
      // Two panels of 128 and 2 rows, each of two matrices and their gates.
      expect([selection.kernel, commands.length]).toEqual([kernel, count]);
      expect(selection.reason).toContain('decoded to f32 in working space, 128 rows at a time');
      await device.submit(commands);
      const wanted = await (await dispatcher.matmul({ ...args, a, variant: 'Reference' })).read();
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const got = await out.read();
      expect(wanted.every((value, i) => Math.abs(value - got[i]!) < 1e-5 * largest)).toBe(true);
    }
    // Against plain floats, and against blocks, rounded or not.
    const a = device.tensor(Int32Array.from(codes.subarray(0, k)), { shape: [1, k] });
    const plain = device.tensor(uniform(7 * k, 9), { shape: [7, k] });
    const blocks = device.quantized(quantize('q8_0', uniform(7 * k, 9)), { format: 'q8_0', shape: [7, k] });
    for (const [kernel, own] of [
      ['hip_gemv_dense', { a, b: plain, transposeB: true }],
      ['hip_gemv_exact', { a, b: blocks }],
      ['hip_gemm_bf16', { a, b: blocks, precision: 'fast' }],
    ] as const) {
      expect(dispatcher.select(own).kernel).toBe(kernel);
      const got = await (await dispatcher.matmul(own)).read();
      const wanted = await (await dispatcher.matmul({ ...own, variant: 'Reference' })).read();
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(wanted.every((value, i) => Math.abs(value - got[i]!) < 0.02 * largest)).toBe(true);
    }
  });

  it('leaves no problem to the host because of its size', async () => {
    await using device = openSoft({ arch: 'gfx906' });
    using dispatcher = new MatmulDispatcher(device);
    const row = device.tensor([1], { shape: [1, 1] });
    const kernels = (m: number, k: number) => {
      const a = row.broadcastTo([m, k]);
      const b = device.quantizedView(device.buffer(0), 0, { format: 'q8_0', shape: [0, k] });
      const all: MatmulArgs[] = [
        { a, b, precision: 'fast' },
        { a, b },
        { a, b: row.broadcastTo([k, 4]) },
      ];
      return all.map((args) => dispatcher.select(args).kernel);
    };
    // Rows beyond the second dimension of a grid, and places that 32 bits do not hold, are for other kernels.
    expect(kernels(70_000, 32)).toEqual(['hip_gemm_dense', 'hip_gemm_dense', 'hip_gemm_dense']);
    expect(kernels(8, 2 ** 28)).toEqual(['hip_gemv', 'hip_gemv_exact', 'hip_gemv_dense']);
    expect(kernels(8, 2 ** 29)).toEqual(['hip_gemm', 'hip_gemv_exact', 'hip_gemv_dense']);
  });
});

// Waves of 64 with 8-bit products, and of 32 with products of bfloat16.
describe.runIf(hasClang).each(['gfx906', 'gfx1100'])('Matmul of few tiles on %s', (arch) => {
  const tuning = { gemmGroups: 1, gemmSplitK: 256 };
  /** Weights, and what a product with them has to be. */
  const weights = (device: Device, n: number, k: number, seed: number) => {
    const bytes = quantize('q4_k', uniform(n * k, seed));
    const values = dequantize('q4_k', bytes);
    const miss = (got: Float32Array, m: number, a: Float32Array, other = {}) => {
      const own = { batch: 1, m, n, k, a, b: values, alpha: 1, beta: 0, activation: 'none', outDType: 'f32' } as const;
      const expected = referenceMatmul({ ...own, ...other, fast: true });
      return firstMiss(got, expected.values, expected.bounds);
    };
    return { tensor: device.quantized(bytes, { format: 'q4_k', shape: [n, k] }), values, miss };
  };

  it('shares k among workgroups, with bias, gate and residual, and says so', async () => {
    await using device = openSoft({ arch, units: 5 });
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning });
    const [m, n, k] = [9, 130, 1280];
    const [b, gate] = [weights(device, n, k, 2), weights(device, n, k, 3)];
    const [a, bias, residual] = [uniform(m * k, 1), uniform(n, 4), uniform(m * n, 6)];
    const call = {
      ...({ activation: 'silu', outDType: 'f16' } as const),
      ...{ a: device.tensor(a, { shape: [m, k] }), b: b.tensor },
      ...{ bias: device.tensor(bias, { shape: [n] }), residual: device.tensor(residual, { shape: [m, n] }) },
    };
    const { commands } = dispatcher.encode(call);
    expect(commands.slice(1).map(({ label }) => label)).toEqual([
      expect.stringMatching(/^hip_gemm\w*<q4_k \d+x128\/2> 9x130x1280$/),
      'hip_gemm_sum 2 of 9x130',
    ]);
    expect(dispatcher.explain(call).reason).toContain('2 workgroups share each along k');
    const other = { bias, residual, beta: 1, activation: 'silu', outDType: 'f16' };
    const plain = await dispatcher.matmul(call);
    expect(b.miss(await plain.read(), m, a, other)).toBeNull();
    const gated = await dispatcher.matmul({ ...call, gate: gate.tensor });
    expect(b.miss(await gated.read(), m, a, { ...other, gate: gate.values })).toBeNull();
    // The same bits in every run.
    const again = await dispatcher.matmul(call);
    expect(await again.read()).toEqual(await plain.read());
  });

  it('splits no further than the units have room, k suffices or tiles are few', async () => {
    await using device = openSoft({ arch, units: 8 });
    const splits = (n: number, k: number, m = 9, own: object = tuning) => {
      using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning: own });
      const b = device.quantized(new Uint8Array((144 * n * k) / 256), { format: 'q4_k', shape: [n, k] });
      const { commands } = dispatcher.encode({ a: device.empty([m, k]), b });
      return Number(/\/(\d+)>/.exec(commands.at(1)!.label)?.[1]);
    };
    expect([splits(1, 4096), splits(1, 512), splits(1, 256), splits(300, 4096), splits(1000, 4096)]).toEqual([
      ...[8, 2, 1, 2, 1],
    ]);
    expect([splits(1, 4096, 129), splits(1, 4096, 9, { gemmSplitK: 4096 })]).toEqual([arch === 'gfx906' ? 2 : 4, 1]);
    expect(splits(1, 32768, 9, { gemmGroups: 64, gemmSplitK: 128 })).toBe(64);
  });

  it('keeps activations for its neighbours, and replays recorded with other data', async () => {
    await using device = openSoft({ arch });
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning });
    const [m, k] = [10, 512];
    const [one, two] = [weights(device, 20, k, 2), weights(device, 140, k, 3)];
    const a = device.empty([m, k]);
    const encoded = dispatcher.encodeAll([one, two, one].map(({ tensor }) => ({ a, b: tensor })));
    expect(encoded.map(({ commands }) => commands.length)).toEqual([3, 2, 2]);
    using recorded = device.record(encoded.flatMap(({ commands }) => commands));
    for (const seed of [5, 6]) {
      const values = uniform(m * k, seed);
      a.buffer.write(new Uint8Array(values.buffer));
      await recorded.submit();
      for (const [i, b] of [one, two, one].entries()) {
        expect([seed, i, b.miss(await encoded[i]!.out.read(), m, values)]).toEqual([seed, i, null]);
      }
    }
  });

  it('does not mix what lists in flight leave in working space', async () => {
    await using device = openSoft({ arch, slow: 20 });
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning });
    const [m, k] = [9, 512];
    const cases = [1, 2, 3].map((seed) => {
      const [values, b] = [uniform(m * k, seed), weights(device, 30 * seed, k, 10 + seed)];
      return { values, b, call: { a: device.tensor(values, { shape: [m, k] }), b: b.tensor } };
    });
    // The last one needs more working space than was there when the others were encoded.
    const results = await Promise.all(cases.map(({ call }) => dispatcher.matmul(call)));
    for (const [i, { b, values }] of cases.entries()) {
      expect([i, b.miss(await results[i]!.read(), m, values)]).toEqual([i, null]);
    }
  });

  it('takes bfloat16 activations and batches as they are', async () => {
    await using device = openSoft({ arch, units: 8 });
    using dispatcher = new MatmulDispatcher(device, { precision: 'fast', tuning });
    const [m, n, k] = [9, 5, 512];
    const values = uniform(2 * m * k, 1).map((x) => rounded(x, 'bf16'));
    const b = [weights(device, n, k, 2), weights(device, n, k, 3)];
    const bytes = Buffer.concat([2, 3].map((seed) => quantize('q4_k', uniform(n * k, seed))));
    const { out, commands } = dispatcher.encode({
      a: device.tensor(values, { shape: [2, m, k], dtype: 'bf16' }),
      b: device.quantized(bytes, { format: 'q4_k', shape: [2, n, k] }),
    });
    expect(commands).toHaveLength(arch === 'gfx906' ? 3 : 2);
    await device.submit(commands);
    const got = await out.read();
    for (const z of [0, 1]) {
      const own = values.subarray(z * m * k, (z + 1) * m * k);
      expect(b[z]!.miss(got.slice(z * m * n, (z + 1) * m * n) as Float32Array, m, own)).toBeNull();
    }
  });
});
