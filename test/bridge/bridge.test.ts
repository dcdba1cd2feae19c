import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { MatmulDispatcher, openDevice } from '../../ts/index.ts';
import {
  BRIDGE,
  floats,
  launch,
  list,
  MetalDevice,
  open,
  PITFALLS,
  pipeline,
  read,
  report,
  SOURCE,
  software,
  tagOf,
} from './raw.ts';

const device = open();
afterAll(() => device.close());

/** A process that opens a device, runs `body` with a pipeline `add`, and tells what became of it. */
function inProcess(body: string, options: { readonly timeout?: number; readonly env?: NodeJS.ProcessEnv } = {}) {
  const script = `
    const { MetalDevice } = require(${JSON.stringify(BRIDGE)});
    const device = MetalDevice.open(${JSON.stringify(JSON.stringify(software()))});
    (async () => {
      const library = await device.library(${JSON.stringify(SOURCE)}, '{}');
      const constants = new Uint8Array(new Uint32Array([0, 1, 1]).buffer);
      const add = await device.pipeline(library, 'add', constants);
      const [x, y] = [device.allocate(4 << 16), device.allocate(4 << 16)];
      const words = [add, 2, 4, 0, 2048, 1, 1, 32, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 2, 1 << 16];
      const one = new Uint8Array(new Uint32Array(words).buffer);
      const submit = () => device.submit(one, [x, y], false);
      ${body}
    })();`;
  return spawnSync(process.execPath, ['-e', script], {
    encoding: 'utf8',
    timeout: options.timeout ?? 60_000,
    env: { ...process.env, ...options.env },
  });
}

describe('a capture', () => {
  it('holds what is submitted meanwhile, and is refused where the process may not be captured', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tilewright-capture-'));
    await using metal = await openDevice({ backend: 'metal' });
    const matmul = new MatmulDispatcher(metal);
    const ones = metal.tensor(new Float32Array(64).fill(1), { shape: [1, 64] });
    const multiply = async () => {
      using y = await matmul.matmul({ a: ones, b: ones, transposeB: true });
      return (await y.read())[0];
    };
    try {
      delete process.env.METAL_CAPTURE_ENABLED;
      const path = join(folder, 'one.gputrace');
      await expect(metal.capture(path, multiply)).rejects.toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE' });
      process.env.METAL_CAPTURE_ENABLED = '1';
      expect(await metal.capture(path, multiply)).toBe(64);
      expect(await multiply()).toBe(64);
      expect(readFileSync(join(path, 'launches.txt'), 'utf8')).toBe(
        'gemv_f32_r4_c1/gemv_f32_r4_c1\ncopy_elements/copy_elements\n',
      );
      await expect(metal.capture(path, multiply)).rejects.toMatchObject({ code: 'ERR_FILE' });
      // What fails ends the capture, too.
      const failing = metal.capture(join(folder, 'two.gputrace'), () => Promise.reject(new Error('on purpose')));
      await expect(failing).rejects.toThrow('on purpose');
      expect(await metal.capture(join(folder, 'three.gputrace'), multiply)).toBe(64);
    } finally {
      delete process.env.METAL_CAPTURE_ENABLED;
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the bridge', () => {
  it('runs a matmul of the package from TypeScript through its shader', async () => {
    await using metal = await openDevice({ backend: 'metal' });
    const matmul = new MatmulDispatcher(metal);
    const values = (n: number, f: (i: number) => number) => Float32Array.from({ length: n }, (_, i) => f(i));
    const [m, n, k] = [5, 7, 33];
    const a = values(m * k, (i) => (i % 11) - 5);
    const b = values(k * n, (i) => (i % 7) - 3);
    const out = await matmul.matmul({
      a: metal.tensor(a, { shape: [m, k] }),
      b: metal.tensor(b, { shape: [k, n] }),
    });
    const expected = values(m * n, (at) => {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a[Math.floor(at / n) * k + i]! * b[i * n + (at % n)]!;
      return sum;
    });
    expect([...((await out.read()) as Float32Array)]).toEqual([...expected]);
  });

  it('tells about its devices in JSON', () => {
    const info = JSON.parse(device.info());
    expect(info).toMatchObject({ software: process.platform === 'linux', unifiedMemory: true });
    expect(JSON.parse(MetalDevice.devices())).toHaveLength(1);
  });

  it('runs lists in order, with times per launch', async () => {
    const add = await pipeline(device, 'add', 2);
    const [x, y] = [floats(device, [1, 2, 3]), floats(device, [10, 20, 30])];
    const submission = device.submit(list(launch(add, 3), launch(add, 2), launch(add, 3, 1, 0)), [x, y], true);
    const { cancelled, times, total } = await report(submission.done);
    expect(cancelled).toBe(false);
    expect(times).toHaveLength(3);
    for (const { begin, end } of times!) {
      expect(begin).toBeLessThanOrEqual(end);
      expect(begin).toBeGreaterThanOrEqual(total.begin);
      expect(end).toBeLessThanOrEqual(total.end);
    }
    expect(read(x)).toEqual([41, 82, 63]);
    expect(read(y)).toEqual([92, 184, 156]);
    submission.cancel();
  });

  it('maps files without a copy, and refuses to write them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tilewright-bridge-'));
    const path = join(folder, 'weights');
    writeFileSync(path, new Uint8Array(Float32Array.from({ length: 3000 }, (_, i) => i).buffer));
    const mapping = device.map(path);
    rmSync(folder, { recursive: true });
    expect(mapping.byteLength).toBe(12000);
    const part = mapping.range(8192, 12);
    expect([part.byteLength, part.readOnly, read(part)]).toEqual([12, true, [2048, 2049, 2050]]);
    mapping.release();
    const add = await pipeline(device);
    const x = floats(device, [1, 1, 1]);
    await device.submit(list(launch(add, 3)), [x, part], false).done;
    expect(read(x)).toEqual([2049, 2050, 2051]);
    expect((await tagOf(() => device.submit(list(launch(add, 3)), [part, x], false))).code).toBe(
      'ERR_INVALID_ARGUMENT',
    );
    expect((await tagOf(() => part.write(new Uint8Array(4), 0))).code).toBe('ERR_INVALID_ARGUMENT');
    expect((await tagOf(() => device.map(join(folder, 'none')))).code).toBe('ERR_FILE');
  });

  it('says what does not compile, with its line', async () => {
    const broken = SOURCE.replace('x[i] += y', 'x[i] += z');
    const tag = await tagOf(() => device.library(broken, '{}'));
    expect(tag.code).toBe('ERR_KERNEL_COMPILE');
    expect(tag.message).toMatch(/program_source:6:\d+: error: .*'z'/);
    const library = await device.library(SOURCE, '{}');
    expect((await tagOf(() => device.pipeline(library, 'none', new Uint8Array()))).code).toBe('ERR_KERNEL_UNKNOWN');
    expect((await tagOf(() => device.pipeline(99, 'add', new Uint8Array()))).code).toBe('ERR_INVALID_ARGUMENT');
  });

  it('releases twice, and says so when released memory is used', async () => {
    const add = await pipeline(device);
    const [x, y] = [floats(device, [1]), floats(device, [2])];
    const { done } = device.submit(list(launch(add, 1)), [x, y], false);
    y.release();
    y.release();
    await done;
    expect(read(x)).toEqual([3]);
    expect((await tagOf(() => device.submit(list(launch(add, 1)), [x, y], false))).code).toBe('ERR_DISPOSED');
    expect((await tagOf(() => read(y))).code).toBe('ERR_DISPOSED');
  });

  it('closes twice, after what is in flight', async () => {
    const own = open();
    const add = await pipeline(own);
    const [x, y] = [floats(own, [1]), floats(own, [2])];
    const runs = Array.from({ length: 20 }, () => own.submit(list(launch(add, 1)), [x, y], false).done);
    own.close();
    own.close();
    expect(read(x)).toEqual([41]);
    for (const done of runs) expect((await report(done)).cancelled).toBe(false);
    expect((await tagOf(() => own.allocate(4))).code).toBe('ERR_DISPOSED');
  });

  it('takes arguments of the wrong kind as errors', () => {
    const raw = device as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => raw.allocate!('many')).toThrow();
    expect(() => raw.allocate!(1.5)).toThrow();
    expect(() => raw.submit!(new Float32Array(3), [], false)).toThrow();
    expect(() => raw.submit!(new Uint8Array(), [{}], false)).toThrow();
    expect(() => raw.submit!(new Uint8Array(), [null], false)).toThrow();
    expect(() => raw.info!.call({})).toThrow();
    expect(() => new (MetalDevice as unknown as new () => unknown)()).toThrow();
  });
});

describe('a device that fails', () => {
  const soft = process.platform === 'linux' ? it : it.skip;

  soft('ends a kernel that does not', async () => {
    const own = open(software({ timeoutMs: 200 }));
    const [spin, add] = [await pipeline(own, 'spin'), await pipeline(own)];
    const [x, y] = [floats(own, [0, 0]), floats(own, [0, 0])];
    const tag = await tagOf(() => own.submit(list(launch(spin, 1)), [x, y], false).done);
    expect(tag).toMatchObject({ code: 'ERR_NATIVE_FAILURE', message: expect.stringContaining('too long') });
    await own.submit(list(launch(add, 2)), [x, y], false).done;
    own.close();
  });

  soft('reports a kernel that writes where there is nothing, and goes on', async () => {
    const far = await pipeline(device, 'far');
    const [x, y] = [floats(device, [0]), floats(device, [0])];
    const tag = await tagOf(() => device.submit(list(launch(far, 1)), [x, y], false).done);
    expect(tag).toMatchObject({ code: 'ERR_NATIVE_FAILURE', message: expect.stringContaining('out-of-bounds') });
    await device.submit(list(launch(await pipeline(device), 1)), [x, y], false).done;
  });

  soft('is out of memory with an error, and usable after it', () => {
    const own = open(software({ capabilities: { workingSetBytes: 1 << 20 }, memoryLimitBytes: 1 << 19 }));
    expect(() => own.allocate(2 << 20)).toThrow(/ERR_OUT_OF_MEMORY/);
    expect(() => own.allocate(3 << 18)).toThrow(/ERR_OUT_OF_MEMORY/);
    own.allocate(1 << 18).release();
    own.allocate(1 << 19).release();
    own.close();
  });

  soft('is gone with an error, for everything from then on', async () => {
    const own = open(software({ failFrom: 2, failure: 'deviceRemoved' }));
    const add = await pipeline(own);
    const buffers = [floats(own, [1]), floats(own, [1])];
    await own.submit(list(launch(add, 1)), buffers, false).done;
    const { done } = own.submit(list(launch(add, 1)), buffers, false);
    expect((await tagOf(() => done)).code).toBe('ERR_BACKEND_UNAVAILABLE');
    expect((await tagOf(() => own.allocate(4))).code).toBe('ERR_BACKEND_UNAVAILABLE');
    own.close();
  });

  soft('is none where there is none', async () => {
    expect((await tagOf(() => open(software({ absent: true })))).code).toBe('ERR_BACKEND_UNAVAILABLE');
    expect((await tagOf(() => open({ device: 'none of that name' }))).message).toContain('none of that name');
    expect((await tagOf(() => MetalDevice.open('{'))).code).toBe('ERR_INVALID_ARGUMENT');
  });
});

describe('a process', () => {
  it('leaks nothing in 10,000 submits', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const add = await pipeline(device);
    const [x, y] = [floats(device, [0]), floats(device, [1])];
    const one = list(launch(add, 1));
    const run = async (count: number) => {
      for (let i = 0; i < count; i += 50) {
        await Promise.all(Array.from({ length: 50 }, () => device.submit(one, [x, y], false).done));
        device.allocate(1 << 16); // not released: the collector's
      }
      collect();
      await new Promise((resolve) => setImmediate(resolve));
      return process.memoryUsage().rss;
    };
    const warm = await run(3000);
    expect((await run(7000)) - warm).toBeLessThan(24 << 20);
    expect(read(x)).toEqual([10_000]);
  });

  it('ends cleanly with lists in flight, by itself and by process.exit', () => {
    for (const end of ['process.exit(7)', 'process.exitCode = 7']) {
      const { status, signal, stderr } = inProcess(`for (let i = 0; i < 50; i++) submit(); ${end};`);
      expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
    }
  });

  it('can be killed in the middle of a submit', () => {
    const { signal } = inProcess(`for (let i = 0; i < 50; i++) submit(); process.kill(process.pid, 'SIGTERM');`);
    expect(signal).toBe('SIGTERM');
  });

  it('stays alive until its promises are settled, and no longer', () => {
    const { status, stdout } = inProcess(`submit().done.then((text) => console.log(JSON.parse(text).cancelled));`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'false\n' });
  });

  it('may use the bridge from worker threads', async () => {
    const source = `
      const { workerData, parentPort } = require('node:worker_threads');
      const { MetalDevice } = require(workerData.bridge);
      const device = MetalDevice.open(workerData.options);
      (async () => {
        const library = await device.library(workerData.source, '{}');
        const add = await device.pipeline(library, 'add', new Uint8Array(new Uint32Array([0, 1, 5]).buffer));
        const [x, y] = [device.allocate(4), device.allocate(4)];
        y.write(new Uint8Array(Float32Array.of(1).buffer), 0);
        const words = [add, 2, 4, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 2, 1];
        for (let i = 0; i < 20; i++) await device.submit(new Uint8Array(new Uint32Array(words).buffer), [x, y], false).done;
        const bytes = new Uint8Array(4);
        x.read(bytes, 0);
        parentPort.postMessage(new Float32Array(bytes.buffer)[0]);
      })();`;
    const workerData = { bridge: BRIDGE, options: JSON.stringify(software()), source: SOURCE };
    const results = await Promise.all(
      [1, 2].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { eval: true, workerData });
            worker.on('message', resolve).on('error', reject);
          }),
      ),
    );
    expect(results).toEqual([100, 100]);
  });
});

describe('node-swift 1.4.0', () => {
  it('gives too short a view of typed arrays wider than a byte, which is why only Uint8Array crosses the bridge', () => {
    const script = `
      const module = { exports: {} };
      process.dlopen(module, ${JSON.stringify(PITFALLS)});
      const { Pitfalls } = module.exports;
      console.log(Pitfalls.floatCount(new Float32Array(3)), Pitfalls.byteCount(new Uint8Array(3)));`;
    const { stdout } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    // Three elements, three bytes; taken for elements of four bytes, they are none.
    expect(stdout).toBe('0 3\n');
  });
});
