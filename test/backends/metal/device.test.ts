// The Metal back end's own behaviour: order, waiting for pipelines, letting go early, failures that end well.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import type { MetalOptions } from '../../../ts/backends/metal/metal.ts';
import type { Device } from '../../../ts/device/device.ts';
import {
  type CustomMatmulKernel,
  copyLaunch,
  dequantize,
  MatmulDispatcher,
  quantize,
  type Tensor,
} from '../../../ts/index.ts';
import { metalLoads, openMetal } from '../../support/device.ts';
import { firstMiss, referenceMatmul } from '../../support/matmul-reference.ts';
import { uniform } from '../../support/values.ts';
import { describeWhere } from '../../support/where.ts';

const opened: Device[] = [];
afterAll(() => Promise.all(opened.map((device) => device.dispose())));
const open = (options: MetalOptions = {}) => {
  const device = openMetal(options);
  opened.push(device);
  return device;
};

async function check(
  device: Device,
  c: { m: number; n: number; k: number; format?: string; precision?: 'exact' | 'fast' },
) {
  const { m, n, k, format, precision = 'exact' } = c;
  const a = uniform(m * k, 1);
  const bytes = format === undefined ? null : quantize(format, uniform(n * k, 2));
  const b = bytes === null ? uniform(n * k, 2) : dequantize(format!, bytes);
  const dispatcher = new MatmulDispatcher(device, { precision });
  const args = {
    a: device.tensor(a, { shape: [m, k] }),
    b:
      bytes === null
        ? device.tensor(b, { shape: [n, k] })
        : device.quantized(bytes, { format: format!, shape: [n, k] }),
    transposeB: true,
  };
  const result = await dispatcher.matmul(args);
  const { values, bounds } = referenceMatmul({
    ...{ batch: 1, m, n, k, a, b, alpha: 1, beta: 0, activation: 'none', outDType: 'f32', fast: precision === 'fast' },
  });
  expect(firstMiss(await result.read(), values, bounds)).toBeNull();
  return dispatcher.select(args).kernel;
}

describe('devices that lack something', () => {
  it('multiply without simdgroup_matrix', async () => {
    const device = open({ software: { families: ['apple5'], simdgroupMatrix: false, bfloat: false } });
    expect(device.capabilities.simdgroupMatrix).toBe(false);
    expect(await check(device, { m: 33, n: 70, k: 40 })).toBe('metal_gemm_threads');
    expect(await check(device, { m: 70, n: 33, k: 64, format: 'q8_0' })).toBe('metal_gemm_threads');
    expect(await check(device, { m: 3, n: 9, k: 256, format: 'q4_k' })).toBe('metal_gemv');
  });

  it('multiply with little threadgroup memory, and few threads', async () => {
    const device = open({ software: { maxThreadgroupBytes: 10_000, maxThreadgroupThreads: 256, coreCount: 64 } });
    expect(await check(device, { m: 40, n: 70, k: 64, format: 'q4_0' })).toBe('metal_gemm');
    expect(await check(device, { m: 40, n: 70, k: 64, format: 'q4_0', precision: 'fast' })).toBe('metal_gemm');
    expect(await check(device, { m: 1, n: 5, k: 4096 })).toBe('metal_gemv');
  });
});

it('says what it is', () => {
  const { capabilities } = open();
  expect(capabilities).toMatchObject({ backend: 'metal', waveSize: 32, maxThreadgroupBytes: 32768 });
  expect(capabilities.architecture).toMatch(/^apple\d+$/);
  expect(capabilities.memoryBytes).toBeGreaterThan(0);
  expect(capabilities.kernels.has('metal_gemm')).toBe(true);
});

it('runs lists in order, also where the first ones wait for their pipelines', async () => {
  const device = open();
  const values = uniform(64, 3);
  const [a, b, c] = [device.tensor(values, { shape: [8, 8] }), device.empty([8, 8]), device.empty([8, 8])];
  // The first copy of this kind is compiled while the second, a kind of its own, is too; nothing is awaited between.
  const first = device.submit([copyLaunch(a, b)]);
  const second = device.submit([copyLaunch(b.transpose(), c)]);
  const third = device.submit([copyLaunch(c.transpose(), b)], { timings: true });
  expect((await third).timings).toHaveLength(1);
  expect(first.settled && second.settled).toBe(true);
  expect(await b.read()).toEqual(values);
});

it('keeps memory that is let go while a list waits', async () => {
  const device = open();
  const values = uniform(20, 4);
  const source = device.tensor(values, { shape: [4, 5], dtype: 'f32' });
  const target = device.empty([4, 5], { dtype: 'f16' });
  const work = device.submit([copyLaunch(source, target)]);
  source.dispose();
  source.dispose();
  await work;
  expect((await target.read())[0]).toBeCloseTo(values[0]!, 3);
});

it('stops a list that waits when its signal says so', async () => {
  const device = open();
  const [a, b] = [device.empty([4, 6]), device.empty([4, 6], { dtype: 'bf16' })];
  const controller = new AbortController();
  const work = device.submit([copyLaunch(a, b)], { signal: controller.signal });
  controller.abort(new Error('not needed'));
  await expect(work.done).rejects.toThrow('not needed');
  expect([...(await b.read())]).toEqual(new Array(24).fill(0));
});

it('gives times to every command, empty ones too', async () => {
  const device = open();
  const copies = [
    [2, 3],
    [0, 3],
    [2, 3],
  ].map((shape) => copyLaunch(device.empty(shape), device.empty(shape)));
  const { timings, totalMs } = await device.submit(copies, { timings: true });
  expect(timings).toHaveLength(3);
  expect(timings[1]!.ms).toBe(0);
  expect(timings.every(({ ms }) => ms >= 0)).toBe(true);
  expect(totalMs).toBeGreaterThanOrEqual(timings.reduce((sum, { ms }) => sum + ms, 0) * 0.99);
  expect((await device.submit([copies[1]!], { timings: true })).timings).toHaveLength(1);
});

it('refuses memory beyond the device, and goes on', async () => {
  const device = open();
  expect(() => device.buffer(2 ** 40)).toThrowError(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
  expect([...(await device.tensor([1, 2], { shape: [2] }).read())]).toEqual([1, 2]);
});

it('refuses use after it was disposed, and disposing twice is harmless', async () => {
  const device = openMetal();
  const tensor = device.tensor([1], { shape: [1] });
  await device.dispose();
  await device.dispose();
  expect(() => device.empty([1])).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  await expect(tensor.read()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  tensor.dispose();
  tensor.dispose();
});

const plugIn = (name: string, body: string): CustomMatmulKernel => ({
  name,
  supports: () => true,
  metal: {
    source: `#include "common/memory.h"\n#include "generated/matmul.h"\nkernel void own(TW_MATMUL_ARGUMENTS) {\n${body}\n}\n`,
    entry: 'own',
    geometry: () => ({ threadgroups: [1, 1, 1], threads: [32, 1, 1] }),
  },
});
const run = async (device: Device, kernel: CustomMatmulKernel): Promise<Tensor> => {
  const dispatcher = new MatmulDispatcher(device);
  dispatcher.register(kernel);
  return dispatcher.matmul({ a: device.tensor([1, 2], { shape: [1, 2] }), b: device.empty([2, 2]) });
};

it('ends a shader that never ends, with an error', async () => {
  const device = open({ timeoutMs: 300 });
  const spin = plugIn('spin', 'uint i = 0;\nwhile (p.m == 1) { i = i * 3 + 1; out[i % 8] = uchar(i); }');
  await expect(run(device, spin)).rejects.toMatchObject({ code: 'ERR_NATIVE_FAILURE' });
});

it('fails a list whose shader does not compile, and runs the next', async () => {
  const device = open();
  await expect(run(device, plugIn('wrong', 'out[0] = nothing;'))).rejects.toMatchObject({ code: 'ERR_KERNEL_COMPILE' });
  await expect(run(device, plugIn('wrong', 'out[0] = nothing;'))).rejects.toMatchObject({ code: 'ERR_KERNEL_COMPILE' });
  const right = plugIn('right', '((device float*)out)[0] = 5.0f;\n((device float*)out)[1] = 6.0f;');
  expect([...(await (await run(device, right)).read())]).toEqual([5, 6]);
});

describeWhere(metalLoads ? null : 'the Metal bridge', 'a process', () => {
  const root = new URL('../../../', import.meta.url);
  const node = (code: string) =>
    spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
      cwd: fileURLToPath(root),
      timeout: 60_000,
    });
  const start = `
    const { openDevice, copyLaunch } = await import(${JSON.stringify(fileURLToPath(new URL('ts/index.ts', root)))});
    const device = await openDevice({ backend: 'metal' });
    const [a, b] = [device.empty([300, 300]), device.empty([300, 300])];
    await device.submit([copyLaunch(a, b)]);
    const work = Array.from({ length: 200 }, () => device.submit([copyLaunch(a, b)]));
  `;

  it('may exit while work is under way', () => {
    const { status, signal, stderr } = node(`${start}\nprocess.exit(3);`);
    expect({ status, signal, stderr }).toEqual({ status: 3, signal: null, stderr: '' });
  });

  it('may be killed while work is under way', () => {
    const { signal } = node(`${start}\nprocess.kill(process.pid, 'SIGKILL');`);
    expect(signal).toBe('SIGKILL');
  });

  it('ends by itself when all is done, disposed or not', () => {
    const { status, stdout } = node(`${start}\nawait work.at(-1);\nconsole.log('done');`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'done\n' });
  });
});

it('looks at the buffers of every launch, though it keeps what its form decides', async () => {
  const device = open();
  const dispatcher = new MatmulDispatcher(device);
  const [m, n, k] = [2, 5, 16];
  const weights = uniform(n * k, 7);
  const b = device.tensor(weights, { shape: [n, k] });
  // The same form at offsets that allow vector loads, and at ones that do not.
  const memory = device.tensor(uniform(m * k + 8, 8), { shape: [m * k + 8] });
  const whole = await memory.read();
  for (const start of [0, 4, 1, 8, 3, 4]) {
    const a = memory.slice({ start, end: start + m * k }).reshape([m, k]);
    const { values, bounds } = referenceMatmul({
      ...{ batch: 1, m, n, k, a: whole.slice(start, start + m * k), b: weights, alpha: 1, beta: 0 },
      ...{ activation: 'none', outDType: 'f32', fast: false },
    });
    const result = await dispatcher.matmul({ a, b, transposeB: true });
    expect(firstMiss(await result.read(), values, bounds)).toBeNull();
  }
  const [launch] = dispatcher.encode({ a: memory.slice({ end: m * k }).reshape([m, k]), b, transposeB: true }).commands;
  if (launch?.type !== 'kernel') throw new Error('a host step');
  const shifted = { ...launch, bindings: launch.bindings.map((at) => at && { ...at, byteOffset: at.byteOffset + 2 }) };
  await expect(device.submit([shifted])).rejects.toMatchObject({ code: 'ERR_KERNEL_LAUNCH' });
  const without = { ...launch, bindings: launch.bindings.map((at, i) => (i === 3 ? launch.bindings[0]! : at)) };
  await expect(device.submit([without])).rejects.toMatchObject({ code: 'ERR_KERNEL_LAUNCH' });
});
