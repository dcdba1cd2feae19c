import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import { CommandList, type Launch, launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { hasClang, openSoft, scale, twin } from './support.ts';

const floats = (device: Device, values: readonly number[]) => {
  const buffer = device.buffer(4 * values.length);
  buffer.write(new Uint8Array(Float32Array.from(values).buffer));
  return buffer;
};
const read = (buffer: DeviceBuffer): number[] => {
  const values = new Float32Array(buffer.byteLength / 4);
  buffer.read(new Uint8Array(values.buffer));
  return [...values];
};
const at = (buffer: DeviceBuffer, byteOffset = 0) => ({ buffer, byteOffset });
const times = (x: DeviceBuffer, y: DeviceBuffer, factor: number, count = y.byteLength / 4): Launch =>
  launch(scale, {
    buffers: { x: at(x), y: at(y) },
    constants: {},
    params: { count, factor },
    label: `times ${factor}`,
  });

describe.runIf(hasClang)('A HIP device', () => {
  for (const [arch, waveSize] of [
    ['gfx906', 64],
    ['gfx1100', 32],
  ] as const) {
    it(`runs a launch with pointers, null pointers and parameters on ${arch}`, async () => {
      await using device = openSoft({ arch });
      const x = floats(device, [1, 2, 3]);
      const y = device.buffer(12);
      const params = { count: 3, factor: 10 };
      await device.submit([launch(scale, { buffers: { x: at(x), y: at(y) }, constants: {}, params })]);
      expect(read(y)).toEqual([10, 20, 30]);
      const bias = at(floats(device, [9, 9, 4, 5, 6]), 8);
      const { timings } = await device.submit(
        [launch(scale, { buffers: { x: at(x), y: at(y), bias }, constants: {}, params, label: 'biased' })],
        { timings: true },
      );
      expect(read(y)).toEqual([14, 25, 36]);
      expect(timings.map(({ label }) => label)).toEqual(['biased']);
      expect(device.capabilities).toMatchObject({ backend: 'hip', architecture: arch, waveSize });
    });
  }

  it('runs lists in order, also while the first one waits for its code object', async () => {
    await using device = openSoft({ slow: 300 });
    const x = floats(device, [1, 2]);
    const y = device.buffer(8);
    const z = device.buffer(8);
    const first = device.submit([times(x, y, 3)]);
    // What is in flight keeps its memory.
    x.dispose();
    const second = device.submit([times(y, z, 5)]);
    const [one, two] = await Promise.all([first, second]);
    expect(read(z)).toEqual([15, 30]);
    expect(one.totalMs).toBeGreaterThan(0.2);
    expect(two.timings).toEqual([]);
  });

  it('orders copies and launches, whichever stream the device turns to first', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      await using device = openSoft({ seed, slow: 50 });
      const y = device.buffer(16);
      expect(read(y)).toEqual([0, 0, 0, 0]);
      for (let round = 1; round <= 5; round++) {
        const x = floats(device, [round, 2, 3, 4]);
        await device.submit([times(x, y, 2)]);
        expect(read(y)).toEqual([2 * round, 4, 6, 8]);
        x.dispose();
      }
    }
  });

  it('gives zeroed memory, also when it was used before', async () => {
    await using device = openSoft();
    for (let i = 0; i < 3; i++) {
      using buffer = device.buffer(4096);
      expect(read(buffer).every((value) => value === 0)).toBe(true);
      buffer.write(new Uint8Array(4096).fill(7));
    }
  });

  it('copies buffers of several chunks in and out, at offsets', async () => {
    await using device = openSoft();
    const bytes = Uint8Array.from({ length: 9 * 2 ** 20 + 5 }, (_, i) => (i * 31) >>> 3);
    const buffer = device.buffer(bytes.length + 3);
    buffer.write(bytes, 3);
    const back = new Uint8Array(bytes.length - 10);
    buffer.read(back, 13);
    expect(Buffer.compare(back, bytes.subarray(10))).toBe(0);
  });

  it('turns more matrices round than one dimension of a grid counts', async () => {
    await using device = openSoft();
    const matrices = device.tensor(
      Float32Array.from({ length: 65_537 * 4 }, (_, i) => i),
      { shape: [65_537, 2, 2] },
    );
    const turned = await (await matrices.transpose().contiguous()).slice({ start: 65_536 }).read();
    expect([...turned]).toEqual([0, 2, 1, 3].map((i) => 65_536 * 4 + i));
  });

  it('reads ranges of mapped files', async () => {
    await using device = openSoft();
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-'));
    try {
      const path = join(folder, 'weights');
      await writeFile(path, new Uint8Array(Float32Array.from([0, 5, 6, 7]).buffer));
      const mapping = device.map(path);
      const x = device.mappedBuffer(mapping, 4, 12);
      mapping.release();
      const y = device.buffer(12);
      await device.submit([times(x, y, 2)]);
      expect(read(y)).toEqual([10, 12, 14]);
      expect(() => times(y, x, 2)).toThrow('read-only');
      expect(() => device.map(join(folder, 'missing'))).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('copies ranges of mapped files on another thread, until it is told to stop', async () => {
    await using device = openSoft();
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-'));
    try {
      const path = join(folder, 'weights');
      // Three parts of 32 MiB, the last one odd.
      const size = 2 ** 26 + 5;
      const bytes = Buffer.alloc(
        size + 3,
        Uint8Array.from({ length: 65537 }, (_, i) => (i * 31) >>> 3),
      );
      await writeFile(path, bytes);
      const mapping = device.map(path);
      const parts: number[] = [];
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      const buffer = await device.loadMapped(mapping, 3, size, { onBytes: (count) => void parts.push(count) });
      clearInterval(timer);
      expect([parts, buffer.readOnly, turns > 1]).toEqual([[2 ** 25, 2 ** 25, 5], true, true]);
      const back = new Uint8Array(size);
      buffer.read(back);
      expect(Buffer.compare(back, bytes.subarray(3))).toBe(0);

      const abort = new AbortController();
      const stopped = device.loadMapped(mapping, 0, size, {
        signal: abort.signal,
        onBytes: (count) => {
          parts.push(count);
          abort.abort(new Error('enough'));
        },
      });
      await expect(stopped).rejects.toThrow('enough');
      await expect(device.loadMapped(mapping, 0, 4, { signal: abort.signal })).rejects.toThrow('enough');
      expect(parts).toHaveLength(4);

      await truncate(path, 2 ** 25 + 7);
      await expect(device.loadMapped(mapping, 0, size)).rejects.toMatchObject({ code: 'ERR_FILE' });
      expect(() => device.mappedBuffer(mapping, 2 ** 25, 9)).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
      // Closing waits for what is being copied.
      const last = device.loadMapped(mapping, 0, 2 ** 25);
      await device.dispose();
      expect((await last).byteLength).toBe(2 ** 25);
      await expect(device.loadMapped(mapping, 0, 4)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('has nothing on its way to memory that a failed copy of a file gave back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-'));
    try {
      const path = join(folder, 'weights');
      for (let seed = 1; seed <= 6; seed++) {
        await using device = openSoft({ seed, slow: 20_000 });
        await writeFile(path, Buffer.alloc(2 ** 23, 7));
        const mapping = device.map(path);
        await truncate(path, 2 ** 22 + 7);
        // The device is busy while the first chunk waits and the second one fails.
        const [x, y] = [device.buffer(4), device.buffer(4)];
        await device.submit([times(x, y, 1)]);
        const busy = device.submit([times(x, y, 2)]);
        await expect(device.loadMapped(mapping, 0, 2 ** 23)).rejects.toMatchObject({ code: 'ERR_FILE' });
        const back = new Uint8Array(2 ** 23);
        device.buffer(2 ** 23).read(back);
        expect(back.indexOf(7)).toBe(-1);
        await busy;
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('leaves out launches of empty problems, with times in their place', async () => {
    await using device = openSoft();
    const x = floats(device, [1]);
    const y = device.buffer(4);
    const { timings } = await device.submit([times(x, y, 2, 0), times(x, y, 3), times(x, y, 2, 0)], { timings: true });
    expect(read(y)).toEqual([3]);
    expect(timings.map(({ label, ms }) => [label, ms > 0])).toEqual([
      ['times 2', false],
      ['times 3', true],
      ['times 2', false],
    ]);
    await device.submit([]);
    await device.submit([times(x, y, 2, 0)], { timings: true });
  });

  it('replays a recorded list, which holds its buffers', async () => {
    await using device = openSoft();
    const x = floats(device, [1, 2]);
    const y = device.buffer(8);
    const z = device.buffer(8);
    const list = new CommandList().add(times(x, y, 2), times(y, z, 3), times(z, x, 0.5));
    const recorded = device.record(list);
    x.dispose();
    y.dispose();
    for (const power of [1, 3, 9]) {
      await recorded.submit();
      expect(read(z)).toEqual([6 * power, 12 * power]);
    }
    const { timings } = await recorded.submit({ timings: true });
    expect(timings.map(({ label }) => label)).toEqual(['times 2', 'times 3', 'times 0.5']);
    expect(read(z)).toEqual([6 * 27, 12 * 27]);
    const last = recorded.submit();
    recorded.dispose();
    recorded.dispose();
    await last;
    expect(read(z)).toEqual([6 * 81, 12 * 81]);
    expect(() => recorded.submit()).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  });

  it.each([
    'hipStreamBeginCapture:1:801',
    'hipModuleLaunchKernel:2:1',
    'hipStreamEndCapture:1:901',
    'hipGraphInstantiate:1:2',
  ])('launches a recorded list piece by piece where the driver cannot capture it: %s', async (fail) => {
    await using device = openSoft({ fail });
    const x = floats(device, [1, 2]);
    const [y, z] = [device.buffer(8), device.buffer(8)];
    using recorded = device.record([times(x, y, 4), times(y, z, 5)]);
    for (const factor of [1, 3]) {
      x.write(new Uint8Array(Float32Array.of(factor, 2).buffer));
      await recorded.submit();
      expect(read(z)).toEqual([20 * factor, 40]);
    }
  });

  it('may be opened several times, and beside another GPU', async () => {
    const devices = [0, 1, 1].map((device) => openSoft({ devices: 2, slow: 100 }, { device }));
    const work = devices.map((device, i) => {
      const y = device.buffer(8);
      const list = [times(floats(device, [i, 2]), y, 3)];
      return { device, y, list, recorded: device.record(list) };
    });
    for (let round = 0; round < 2; round++) {
      await Promise.all(work.flatMap(({ device, list, recorded }) => [device.submit(list), recorded.submit()]));
      expect(work.map(({ y }) => read(y))).toEqual(work.map((_, i) => [3 * i, 6]));
    }
    // What the first one leaves behind is its own.
    const last = work[1]!.recorded.submit();
    await devices[0]!.dispose();
    await last;
    work[0]!.recorded.dispose();
    await work[2]!.device.submit(work[2]!.list);
    for (const device of devices) await device.dispose();
  });

  it('tells functions of one name apart by their kernels', async () => {
    await using device = openSoft();
    const x = floats(device, [1, 2]);
    const [y, z] = [device.buffer(8), device.buffer(8)];
    const twice = launch(twin, { buffers: { x: at(x), y: at(z) }, constants: {}, params: { count: 2, factor: 5 } });
    await device.submit([times(x, y, 5), twice]);
    expect([read(y), read(z)]).toEqual([
      [5, 10],
      [10, 20],
    ]);
  });

  it('stops between launches when it is told to', async () => {
    await using device = openSoft({ slow: 500 });
    const x = floats(device, [1]);
    const y = device.buffer(4);
    await device.submit([times(x, y, 1)]);
    const abort = new AbortController();
    const begin = performance.now();
    const running = device.submit(
      Array.from({ length: 4000 }, () => times(x, y, 2)),
      { signal: abort.signal },
    );
    const waiting = device.submit([times(x, y, 7)], { signal: abort.signal });
    setTimeout(() => abort.abort(new Error('enough')), 30);
    await expect(running).rejects.toThrow('enough');
    await expect(waiting).rejects.toThrow('enough');
    // 4000 launches would take more than two seconds; at most 256 run ahead.
    expect(performance.now() - begin).toBeLessThan(1500);
    await device.submit([times(x, y, 3)]);
    expect(read(y)).toEqual([3]);
  });

  it('is told to stop at any stage, and goes on with what comes next', async () => {
    await using device = openSoft({ slow: 20_000 });
    const x = floats(device, [1]);
    const y = device.buffer(4);
    const abort = () => {
      const controller = new AbortController();
      return { signal: controller.signal, now: () => controller.abort(new Error('enough')) };
    };
    // While its code object is loaded, and with another list behind it.
    const first = abort();
    const loading = device.submit([times(x, y, 5)], { signal: first.signal });
    const behind = device.submit([times(x, y, 2)]);
    first.now();
    await expect(loading).rejects.toThrow('enough');
    await behind;
    expect(read(y)).toEqual([2]);
    using recorded = device.record(Array.from({ length: 3 }, () => times(x, y, 3)));
    // While a graph is replayed, behind another one, and before it is submitted.
    const second = abort();
    const replays = [1, 2, 3].map(() => recorded.submit({ signal: second.signal }));
    setTimeout(second.now, 3);
    for (const replay of replays) await expect(replay).rejects.toThrow('enough');
    expect(() => recorded.submit({ signal: second.signal })).toThrow('enough');
    await recorded.submit();
    expect(read(y)).toEqual([3]);
  });

  it('does not block the event loop', async () => {
    await using device = openSoft({ slow: 1000 });
    const x = floats(device, [1]);
    const y = device.buffer(4);
    await device.submit([times(x, y, 1)]);
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    await device.submit(Array.from({ length: 100 }, () => times(x, y, 2)));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it('keeps nothing of 10,000 submissions', async () => {
    await using device = openSoft();
    const x = floats(device, [1, 2, 3, 4]);
    const run = async (count: number) => {
      for (let i = 0; i < count; i += 100) {
        const pending = [];
        for (let j = 0; j < 100; j++) {
          const y = device.buffer(1 << 14);
          pending.push(device.submit([times(x, y, 2, 4)]));
          y.dispose();
        }
        await Promise.all(pending);
      }
      (globalThis as { gc?: () => void }).gc?.();
      return process.memoryUsage().rss;
    };
    const before = await run(1000);
    // A leak of one buffer per submission would be 160 MB.
    expect((await run(10_000)) - before).toBeLessThan(48 << 20);
  });
});
