import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CommandList, copyLaunch, launch, openDevice, Tensor } from '../../ts/index.ts';
import { copy, probeRead } from '../../ts/kernels/elementwise.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { Layout } from '../../ts/tensor/layout.ts';
import { isas, metalLoads, onCpu, onGpu, runs, testDevice } from '../support/device.ts';
import { anyStride, stridedTensor } from '../support/strided.ts';
import { rounded, uniform } from '../support/values.ts';
import { itOn } from '../support/where.ts';

const device = await testDevice();
const folder = mkdtempSync(join(tmpdir(), 'tilewright-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('tensors', () => {
  it.each(Object.keys(DTYPES) as DType[])('hold %s elements and read them back as floats', async (dtype) => {
    const values = uniform(60, 3).map((value) => rounded(value, dtype));
    const data = dtype === 'i8' ? Int8Array.from(values) : dtype === 'i32' ? Int32Array.from(values) : values;
    using tensor = device.tensor(data, { shape: [3, 4, 5], dtype });
    expect(await tensor.read()).toEqual(values);
  });

  it('take their dtype from the array', () => {
    expect(device.tensor(new Float32Array(1), { shape: [1] }).dtype).toBe('f32');
    expect(device.tensor(new Int8Array(1), { shape: [1] }).dtype).toBe('i8');
    expect(device.tensor(new Int32Array(1), { shape: [1] }).dtype).toBe('i32');
    expect(device.tensor(new Uint16Array(1), { shape: [1] }).dtype).toBe('f16');
    expect(device.tensor([1, 2], { shape: [2] }).dtype).toBe('f32');
  });

  it('keep memory alive until the last view is disposed', async () => {
    const whole = device.tensor([1, 2, 3, 4], { shape: [2, 2] });
    const view = whole.transpose();
    whole.dispose();
    whole.dispose();
    expect([...(await view.read())]).toEqual([1, 3, 2, 4]);
    const { buffer } = view;
    view.dispose();
    expect(buffer.disposed).toBe(true);
    expect(() => view.buffer).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    await expect(view.read()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  });

  it('refuse a reshape that would need a copy, and do it after contiguous()', async () => {
    const turned = device.tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }).transpose();
    expect(() => turned.reshape([6])).toThrowError(/contiguous\(\)/);
    expect([...(await (await turned.contiguous()).reshape([6]).read())]).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it.each<[string, string, () => unknown]>([
    ['data of another length', 'ERR_SHAPE_MISMATCH', () => device.tensor([1, 2, 3], { shape: [2] })],
    ['an unknown dtype', 'ERR_DTYPE_UNSUPPORTED', () => device.empty([2], { dtype: 'f8' as DType })],
    ['a view outside its buffer', 'ERR_OUT_OF_BOUNDS', () => new Tensor(device.buffer(8), 'f32', new Layout([3]))],
    ['a view before its buffer', 'ERR_OUT_OF_BOUNDS', () => new Tensor(device.buffer(8), 'f32', new Layout([2], [-1]))],
    [
      'an unknown format',
      'ERR_FORMAT_UNKNOWN',
      () => device.quantized(new Uint8Array(18), { format: 'q4_9', shape: [1, 32] }),
    ],
    [
      'rows that are not whole blocks',
      'ERR_SHAPE_MISMATCH',
      () => device.quantized(new Uint8Array(18), { format: 'q4_0', shape: [1, 31] }),
    ],
    [
      'blocks of another length',
      'ERR_SHAPE_MISMATCH',
      () => device.quantized(new Uint8Array(17), { format: 'q4_0', shape: [1, 32] }),
    ],
    ['more memory than the machine has', 'ERR_OUT_OF_MEMORY', () => device.empty([2 ** 45])],
    ['a negative size', 'ERR_INVALID_ARGUMENT', () => device.buffer(-1)],
  ])('refuse %s', (_, code, make) => {
    expect(make).toThrowError(expect.objectContaining({ code }));
  });
});

describe.each(isas)('copies on %s', async (isa) => {
  const own = await testDevice({ isa });
  const dtype = fc.constantFrom<DType>('f32', 'f16', 'bf16', 'i8', 'i32');
  const shape = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 0, maxLength: 5 });

  it('convert between any dtypes and strides', async () => {
    await fc.assert(
      fc.asyncProperty(
        shape.chain((sizes) => fc.tuple(fc.constant(sizes), anyStride(sizes.length), anyStride(sizes.length))),
        dtype,
        dtype,
        fc.integer(),
        async ([sizes, from, to], source, target, seed) => {
          const { tensor, values } = stridedTensor(own, sizes, source, from, seed);
          const { tensor: out } = stridedTensor(own, sizes, target, to, seed + 1);
          await own.submit([copyLaunch(tensor, out)]);
          const expected = values.map((value) => convert(value, target));
          expect(await out.read()).toEqual(expected);
          tensor.dispose();
          out.dispose();
        },
      ),
      { numRuns: runs(150) },
    );
  });

  it('saturate integers and turn NaN into 0', async () => {
    const wild = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e10, -1e10, 0.5, 1.5, -0.5, 126.7];
    const tensor = own.tensor(wild, { shape: [wild.length] });
    expect([...(await (await tensor.contiguous('i8')).read())]).toEqual([0, 127, -128, 127, -128, 0, 2, 0, 127]);
    expect([...(await (await tensor.contiguous('i32')).read())].slice(0, 5)).toEqual([
      0,
      Math.fround(2 ** 31 - 1),
      -(2 ** 31),
      Math.fround(2 ** 31 - 1),
      -(2 ** 31),
    ]);
  });
});

/** Ties to even and saturation for integers, nearest for floats. */
function convert(value: number, dtype: DType): number {
  if (dtype !== 'i8' && dtype !== 'i32') return rounded(value, dtype);
  const floor = Math.floor(value);
  const nearest = value - floor > 0.5 || (value - floor === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  const limit = dtype === 'i8' ? 127 : 2 ** 31 - 1;
  return Math.fround(Math.max(-limit - 1, Math.min(limit, nearest))) + 0;
}

describe('submitting', () => {
  const list = () => {
    const source = device.tensor(uniform(1000, 1), { shape: [10, 100] });
    const target = device.empty([10, 100]);
    return { source, target, commands: new CommandList().add(copyLaunch(source, target)) };
  };

  it('runs lists in order and times each command when asked', async () => {
    const { target, commands, source } = list();
    const third = device.empty([10, 100]);
    commands.add(copyLaunch(target, third));
    const result = await device.submit(commands, { timings: true });
    expect(result.timings.map(({ label }) => label)).toEqual(['copy', 'copy']);
    expect(result.timings.every(({ ms }) => ms >= 0)).toBe(true);
    expect(result.totalMs).toBeGreaterThanOrEqual(0);
    expect(await third.read()).toEqual(await source.read());
    expect((await device.submit([])).timings).toEqual([]);
  });

  it('lets host steps see the launches before them and later lists wait for them', async () => {
    const { target, source } = list();
    const seen: number[] = [];
    const first = device.submit([
      copyLaunch(source, target),
      {
        type: 'host',
        label: 'look',
        run: async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          const bytes = new Uint8Array(4);
          target.buffer.read(bytes);
          seen.push(new Float32Array(bytes.buffer)[0]!);
          target.buffer.write(new Uint8Array(new Float32Array([42]).buffer));
        },
      },
    ]);
    const later = device.empty([10, 100]);
    const second = device.submit([copyLaunch(target, later)]);
    expect(first.settled).toBe(false);
    await second;
    expect(first.settled).toBe(true);
    expect(seen).toEqual([uniform(1000, 1)[0]]);
    expect((await later.read())[0]).toBe(42);
  });

  it('keeps memory of disposed tensors alive for work in flight', async () => {
    const out = device.empty([1 << 20]);
    const source = device.tensor(uniform(1 << 20, 4), { shape: [1 << 20] });
    const submissions = Array.from({ length: 20 }, () => device.submit([copyLaunch(source, out)]));
    source.dispose();
    await Promise.all(submissions.map(({ done }) => done));
    expect(Buffer.compare(Buffer.from((await out.read()).buffer), Buffer.from(uniform(1 << 20, 4).buffer))).toBe(0);
  });

  it('refuses buffers of another device, disposed ones, and reads past the end', async () => {
    const other = await openDevice({ backend: 'cpu', threads: 1 });
    const { source, target, commands } = list();
    const foreign = other.empty([10, 100]);
    expect(() => device.submit([copyLaunch(foreign, target)])).toThrowError(
      expect.objectContaining({ code: 'ERR_WRONG_DEVICE' }),
    );
    source.dispose();
    expect(() => device.submit(commands)).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    await other.dispose();
    expect(() => other.empty([1])).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    expect(() =>
      launch(copy, {
        buffers: { src: target.binding, dst: target.binding },
        constants: { src_dtype: 0, dst_dtype: 0 },
        params: {
          shape: [1, 1, 1, 1, 1, 1, 1, 1001],
          src_stride: [0, 0, 0, 0, 0, 0, 0, 1],
          dst_stride: [0, 0, 0, 0, 0, 0, 0, 1],
        },
      }),
    ).toThrowError(expect.objectContaining({ code: 'ERR_OUT_OF_BOUNDS' }));
    expect(() =>
      launch(copy, {
        buffers: { src: target.binding } as unknown as { src: typeof target.binding; dst: typeof target.binding },
        constants: { src_dtype: 0, dst_dtype: 0 },
        params: { shape: [], src_stride: [], dst_stride: [] },
      }),
    ).toThrowError(expect.objectContaining({ code: 'ERR_KERNEL_LAUNCH' }));
  });

  itOn(!onGpu)('stops long work when the signal says so, and goes on with the rest', async () => {
    const data = device.buffer(64 << 20);
    const sink = device.buffer(8);
    const [from, to] = [device.empty([100, 100]), device.empty([100, 100])];
    const probe = () =>
      launch(probeRead, {
        buffers: { data: { buffer: data, byteOffset: 0 }, sink: { buffer: sink, byteOffset: 0 } },
        constants: {},
        params: { bytes: 64 << 20 },
      });
    const long = Array.from({ length: 400 }, () => (onCpu ? probe() : copyLaunch(from, to)));
    const controller = new AbortController();
    const submission = device.submit(long, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(submission.done).rejects.toThrow('enough');
    expect(() => device.submit([], { signal: controller.signal })).toThrow('enough');
    await device.submit([long[0]!]);
    const waiting = device.submit(long, { signal: AbortSignal.timeout(20) });
    await expect(waiting.done).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('waits for work in flight when the device is disposed', async () => {
    const own = await testDevice();
    const source = own.tensor(uniform(1 << 18, 4), { shape: [1 << 18] });
    const work = Array.from({ length: 50 }, () => own.submit([copyLaunch(source, own.empty([1 << 18]))]));
    await own.dispose();
    await own.dispose();
    expect(work.every(({ settled }) => settled)).toBe(true);
  });
});

describe('mapped files', () => {
  it('are read in place, read-only, and refused once they were cut short', async () => {
    const path = join(folder, 'data.bin');
    const values = uniform(1 << 14, 8);
    writeFileSync(path, values);
    const mapping = device.map(path);
    const buffer = device.mappedBuffer(mapping, 4096, 400);
    mapping.release();
    const tensor = new Tensor(buffer, 'f32', new Layout([100]));
    expect(await tensor.read()).toEqual(values.slice(1024, 1124));
    expect(() => copyLaunch(device.empty([100]), tensor)).toThrowError(/read-only/);
    expect(() => buffer.write(new Uint8Array(1))).toThrowError(/read-only/);
    if (!onCpu) return; // GPUs fault, or read zeros, as their driver has it
    truncateSync(path, 100);
    await expect(tensor.read()).rejects.toMatchObject({ code: 'ERR_FILE' });
  });

  it('say what is wrong with a path', () => {
    expect(() => device.map(join(folder, 'missing'))).toThrowError(
      expect.objectContaining({ code: 'ERR_FILE', message: expect.stringContaining('missing') }),
    );
    expect(() => device.map(folder)).toThrowError(expect.objectContaining({ code: 'ERR_FILE' }));
  });
});

describe('openDevice', () => {
  it.each([
    ...(metalLoads ? [] : [['metal', 'ERR_BACKEND_UNAVAILABLE']]),
    ...(onGpu ? [] : [['hip', 'ERR_BACKEND_UNAVAILABLE']]),
    ['vulkan', 'ERR_INVALID_ARGUMENT'],
  ])('says why %s cannot be opened', async (backend, code) => {
    await expect(openDevice({ backend: backend as 'hip' })).rejects.toMatchObject({ code });
  });

  it.each([0, -1, 1.5, 5000, Number.NaN])('refuses %d threads', async (threads) => {
    await expect(openDevice({ backend: 'cpu', threads })).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  it('refuses an instruction set that this machine lacks', async () => {
    await expect(openDevice({ backend: 'cpu', isa: 'altivec' })).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
    });
  });

  itOn(onCpu)('falls back to the CPU on its own, with what it can do', async () => {
    await using own = await openDevice();
    expect(own.backend).toBe('cpu');
    expect(own.capabilities.computeUnits).toBeGreaterThan(0);
    expect(isas).toContain(own.capabilities.architecture);
  });

  it('gives the same results with more threads than cores', async () => {
    await using many = await openDevice({ threads: 9 });
    const source = many.tensor(uniform(5000, 4), { shape: [50, 100] });
    expect(await source.transpose().read()).toEqual(
      Float32Array.from({ length: 5000 }, (_, i) => uniform(5000, 4)[(i % 50) * 100 + Math.floor(i / 50)]!),
    );
  });
});
