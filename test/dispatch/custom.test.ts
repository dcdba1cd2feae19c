import { afterEach, expect, it } from 'vitest';
import { registerTernary, ternaryMatmul } from '../../docs/examples/ternary-format.ts';
import { type CustomMatmulKernel, dequantize, MatmulDispatcher, MatmulVariant, quantize } from '../../ts/index.ts';
import { testDevice } from '../support/device.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { uniform } from '../support/values.ts';

const device = await testDevice();
const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

it('multiplies a format that the package does not know once format and kernel are registered', async () => {
  undo.push(registerTernary());
  const dispatcher = new MatmulDispatcher(device);
  const [m, n, k] = [3, 5, 128];
  const bytes = quantize('ternary64', uniform(n * k, 1));
  const b = device.quantized(bytes, { format: 'ternary64', shape: [n, k] });
  const values = uniform(m * k, 2);
  const a = device.tensor(values, { shape: [m, k] });
  const bias = device.tensor(uniform(n, 3), { shape: [n] });

  expect(() => dispatcher.select({ a, b })).toThrowError(expect.objectContaining({ code: 'ERR_NO_KERNEL' }));
  undo.push(dispatcher.register(ternaryMatmul));
  const call = { a, b, bias, activation: 'silu', alpha: 2, gate: b } as const;
  expect(dispatcher.select(call)).toMatchObject({ variant: MatmulVariant.Custom, kernel: 'ternary_matmul' });

  const weights = dequantize('ternary64', bytes);
  const expected = referenceMatmul({
    batch: 1,
    m,
    n,
    k,
    a: values,
    b: weights,
    gate: weights,
    bias: uniform(n, 3),
    alpha: 2,
    beta: 0,
    activation: 'silu',
    outDType: 'f32',
    fast: false,
  });
  const result = await dispatcher.matmul(call);
  expect(firstMiss(await result.read(), expected.values, expected.bounds)).toBeNull();
});

it('runs plug-ins on strided, transposed and batched operands', async () => {
  const dispatcher = new MatmulDispatcher(device);
  const naive: CustomMatmulKernel = {
    name: 'naive',
    supports: () => true,
    run({ m, n, k, a, b, out }) {
      for (let i = 0; i < m * n; i++) {
        let sum = 0;
        for (let t = 0; t < k; t++) sum += a[Math.floor(i / n) * k + t]! * (b as Float32Array)[(i % n) * k + t]!;
        out[i] = sum;
      }
    },
  };
  undo.push(dispatcher.register(naive));
  const a = device.tensor(uniform(2 * 3 * 4, 1), { shape: [2, 3, 4] });
  const b = device.tensor(uniform(4 * 5, 2), { shape: [5, 4] });
  const at = a.transpose().contiguous();
  for (const args of [
    { a, b, transposeB: true },
    { a: await at, transposeA: true, b: b.transpose() },
  ]) {
    const plugged = await dispatcher.matmul(args);
    const built = await new MatmulDispatcher(device).matmul(args);
    expect(dispatcher.select(args).kernel).toBe('naive');
    expect(plugged.shape).toEqual([2, 3, 5]);
    const [x, y] = [await plugged.read(), await built.read()];
    for (const [i, value] of x.entries()) expect(value).toBeCloseTo(y[i]!, 5);
  }
});

it('prefers plug-ins by priority and leaves ties to the built-in kernels', () => {
  const dispatcher = new MatmulDispatcher(device);
  const args = { a: device.empty([2, 8]), b: device.empty([8, 3]) };
  const kernel = (name: string, priority?: number): CustomMatmulKernel => ({
    name,
    supports: () => true,
    run() {},
    ...(priority === undefined ? {} : { priority }),
  });
  undo.push(dispatcher.register(kernel('tie', 0)));
  expect(dispatcher.select(args).variant).toBe(MatmulVariant.Gemv);
  undo.push(dispatcher.register(kernel('usual')));
  expect(dispatcher.select(args).kernel).toBe('usual');
  const remove = dispatcher.register(kernel('strong', 5));
  expect(dispatcher.select(args).kernel).toBe('strong');
  remove();
  expect(dispatcher.select(args).kernel).toBe('usual');
  expect(() => dispatcher.register(kernel('usual'))).toThrowError(/already registered/);
});

it('reports what a plug-in throws, with its name', async () => {
  const dispatcher = new MatmulDispatcher(device);
  undo.push(
    dispatcher.register({
      name: 'broken',
      supports: () => true,
      run() {
        throw new Error('no idea');
      },
    }),
  );
  const failing = dispatcher.matmul({ a: device.empty([1, 2]), b: device.empty([2, 2]) });
  await expect(failing).rejects.toMatchObject({
    code: 'ERR_CUSTOM_KERNEL',
    message: expect.stringContaining('broken'),
  });
});

it('shows NaN where a plug-in forgot an element', async () => {
  const dispatcher = new MatmulDispatcher(device);
  undo.push(dispatcher.register({ name: 'lazy', supports: () => true, run: ({ out }) => void out.fill(1, 0, 1) }));
  const result = await dispatcher.matmul({ a: device.empty([1, 2]), b: device.empty([2, 2]) });
  expect([...(await result.read())]).toEqual([1, Number.NaN]);
});
