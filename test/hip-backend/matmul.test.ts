import { describe, expect, it } from 'vitest';
import { type MatmulArgs, MatmulDispatcher } from '../../ts/index.ts';
import { dequantize, quantize } from '../../ts/ops/quantize.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { uniform } from '../support/values.ts';
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
