import { afterEach, expect, it } from 'vitest';
import { registerTernary, ternaryMatmul } from '../../docs/examples/ternary-format.ts';
import { ternaryOnMetal } from '../../docs/examples/ternary-metal.ts';
import {
  type CustomMatmulKernel,
  dequantize,
  MatmulDispatcher,
  MatmulVariant,
  quantize,
  type TilewrightError,
} from '../../ts/index.ts';
import { BACKEND, testDevice } from '../support/device.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { uniform } from '../support/values.ts';
import { itOn } from '../support/where.ts';

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

itOn(BACKEND === 'metal')('runs a plug-in as the Metal kernel that it brings', async () => {
  undo.push(registerTernary());
  const dispatcher = new MatmulDispatcher(device);
  const { run: _, ...shaderOnly } = ternaryOnMetal;
  undo.push(dispatcher.register(shaderOnly));
  const [batch, m, n, k] = [2, 3, 5, 192];
  const bytes = [1, 2].map((seed) => quantize('ternary64', uniform(n * k, seed)));
  const [b, gate] = bytes.map((data) => device.quantized(data, { format: 'ternary64', shape: [n, k] }));
  const values = uniform(batch * m * k, 3);
  const a = device.tensor(values, { shape: [batch, m, k] });
  const bias = uniform(n, 4);
  const out = device.empty([batch, n, m], { dtype: 'f16' }).transpose();
  const call = { a, b: b!, gate: gate!, bias: device.tensor(bias, { shape: [n] }), activation: 'gelu', out } as const;
  expect(dispatcher.encode(call).commands.map(({ type }) => type)).toEqual(['kernel']);
  await dispatcher.matmul(call);
  const [weights, gateWeights] = bytes.map((data) => dequantize('ternary64', data));
  const expected = referenceMatmul({
    ...{ batch, m, n, k, a: values, b: weights!, gate: gateWeights!, bias, alpha: 1, beta: 0 },
    ...{ activation: 'gelu', outDType: 'f16', fast: false },
  });
  expect(firstMiss(await out.read(), expected.values, expected.bounds)).toBeNull();
});

itOn(BACKEND === 'metal')("shows where a plug-in's shader is wrong, with the line", async () => {
  const dispatcher = new MatmulDispatcher(device);
  const shader = (source: string, more: object = {}) => ({
    name: 'own',
    supports: () => true as const,
    metal: {
      source,
      entry: 'own',
      geometry: () => ({ threadgroups: [1, 1, 1] as const, threads: [32, 1, 1] as const }),
      ...more,
    },
  });
  const source = '#include "generated/matmul.h"\nkernel void own(TW_MATMUL_ARGUMENTS) {\n  out[0] = nothing;\n}\n';
  const args = { a: device.empty([1, 2]), b: device.empty([2, 2]) };
  const failure = async (kernel: CustomMatmulKernel) => {
    const remove = dispatcher.register(kernel);
    const error = await dispatcher.matmul(args).catch((caught: unknown) => caught);
    remove();
    return error as TilewrightError;
  };
  const compile = await failure(shader(source));
  expect(compile.code).toBe('ERR_KERNEL_COMPILE');
  expect(compile.message).toMatch(/own\.metal:3:[\s\S]*nothing[\s\S]*\n {2}3 \| {3}out\[0\] = nothing;/);
  const right = source.replace('nothing', '0');
  expect(await failure(shader(right, { entry: 'other' }))).toMatchObject({ code: 'ERR_KERNEL_UNKNOWN' });
  const grid = { threadgroups: [1, 1, 1], threads: [2048, 1, 1] };
  expect(await failure(shader(right, { geometry: () => grid }))).toMatchObject({ code: 'ERR_KERNEL_LAUNCH' });
  const constants = () => [{ index: 3, type: 'uint', value: 1 }];
  expect(await failure(shader(right, { constants }))).toMatchObject({ code: 'ERR_CUSTOM_KERNEL' });
  const throws = () => {
    throw new Error('no grid');
  };
  expect((await failure(shader(right, { geometry: throws }))).message).toContain('no grid');
});

it('refuses a plug-in that has nothing for the back end', () => {
  const dispatcher = new MatmulDispatcher(device);
  undo.push(dispatcher.register({ name: 'empty', supports: () => true }));
  const { candidates } = dispatcher.explain({ a: device.empty([1, 2]), b: device.empty([2, 2]) });
  expect(candidates.find(({ kernel }) => kernel === 'empty')).toMatchObject({ verdict: 'refused' });
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
