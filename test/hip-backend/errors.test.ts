import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import { ObjectFolder, targetFor } from '../../ts/backends/hip/objects.ts';
import type { HipOptions } from '../../ts/backends/hip/options.ts';
import { openDevice } from '../../ts/backends/open.ts';
import { launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import type { TilewrightError } from '../../ts/errors.ts';
import { astray, driver, hasClang, openSoft, scale, softObjects } from './support.ts';

const COUNT = 64;
/** A launch on buffers of its own. */
function work(device: Device, kernel: typeof scale = scale, factor = 2) {
  const at = (bytes: number) => ({ buffer: device.buffer(bytes), byteOffset: 0 });
  const buffers = { x: at(4 * COUNT), y: at(4 * COUNT) };
  return launch(kernel, { buffers, constants: {}, params: { count: COUNT, factor } });
}

describe('Without a GPU', () => {
  it('openDevice says which drivers were looked for', async () => {
    const missing = { backend: 'hip', hip: { driver: '/nowhere/libgpu.so' } } as const;
    await expect(openDevice(missing)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('/nowhere/libgpu.so'),
      details: { attempts: [{ library: '/nowhere/libgpu.so', problem: expect.stringContaining('cannot open') }] },
    });
    await expect(openDevice({ backend: 'hip', hip: { driver: 'libm.so.6' } })).rejects.toThrow('no hipInit, no cuInit');
  });

  it('auto goes on to the next back end', async () => {
    await using device = await openDevice({ hip: { driver: '/nowhere/libgpu.so' } });
    expect(device.backend).toBe('cpu');
  });

  it.each([
    ...[
      { timeoutSeconds: 0 },
      { timeoutSeconds: '5' },
      { device: -1 },
      { device: 1.5 },
      { device: '0' },
      { device: null },
    ],
    ...[{ driver: 5 }, { driver: null }, { objects: {} }, { objects: null }, null, 'gpu'],
  ])('options that are wrong are refused, and not taken for a missing GPU: %j', async (hip) => {
    for (const backend of ['hip', 'auto'] as const) {
      await expect(openDevice({ backend, hip: hip as HipOptions })).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringContaining('`hip'),
      });
    }
  });

  it('an architecture runs its own code objects, or on NVIDIA older ones', () => {
    expect(targetFor('gfx1100', ['gfx1030', 'gfx1100'])).toBe('gfx1100');
    expect(targetFor('gfx1101', ['gfx1030', 'gfx1100'])).toBeNull();
    expect(targetFor('sm_90', ['sm_75', 'sm_80', 'gfx906'])).toBe('sm_80');
    expect(targetFor('sm_120', ['sm_75', 'sm_80'])).toBe('sm_80');
    expect(targetFor('sm_61', ['sm_75', 'sm_80'])).toBeNull();
  });

  it('code objects are found by the symbols that their manifest lists, compressed or not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-'));
    try {
      const entry = (file: string, target: string, name: string) => ({ file, target, kernels: [{ name }] });
      const manifest = [entry('a/scale.hsaco', 'gfx906', 'scale'), entry('scale.q4_k.hsaco.br', 'gfx1100', 'scale')];
      await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
      await writeFile(join(folder, 'scale.q4_k.hsaco.br'), brotliCompressSync(Buffer.from('code')));
      const objects = new ObjectFolder(folder);
      const kernel = { ...scale, source: 'scale.hip' } as unknown as Parameters<ObjectFolder['has']>[0];
      expect(objects.targets).toEqual(['gfx1100', 'gfx906']);
      expect([objects.has(kernel, 'gfx906'), objects.has(kernel, 'gfx90a')]).toEqual([true, false]);
      const request = { kernel, format: null, entry: 'scale' };
      expect(Buffer.from(await objects.find(request, 'gfx1100').bytes()).toString()).toBe('code');
      await expect(objects.find(request, 'gfx906').bytes()).rejects.toMatchObject({ code: 'ERR_FILE' });
      expect(() => objects.find({ ...request, entry: 'other' }, 'gfx906')).toThrow(
        expect.objectContaining({ code: 'ERR_KERNEL_UNKNOWN' }),
      );
      const again = [...manifest, entry('other.hsaco', 'gfx906', 'scale')];
      await writeFile(join(folder, 'manifest.json'), JSON.stringify(again));
      expect(() => new ObjectFolder(folder)).toThrow(
        'two functions scale for gfx906, in a/scale.hsaco and in other.hsaco',
      );
      await writeFile(join(folder, 'manifest.json'), '[{"file": "a", "target": "gfx906", "kernels": [null]}]');
      expect(() => new ObjectFolder(folder)).toThrow('is no list of code objects');
      await writeFile(join(folder, 'manifest.json'), '{"file": 1}');
      expect(() => new ObjectFolder(folder)).toThrow('is no list of code objects');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('a folder without a manifest says so, and no other one is taken in its place', () => {
    expect(() => new ObjectFolder('/nowhere')).toThrow(expect.objectContaining({ code: 'ERR_FILE' }));
    vi.stubEnv('TILEWRIGHT_HIP_OBJECTS', '/nowhere');
    expect(() => ObjectFolder.ofPackage()).toThrow('looked for manifest.json in /nowhere.');
    vi.unstubAllEnvs();
  });
});

describe.runIf(hasClang)('A HIP device in trouble', () => {
  it('names the targets that there are when there is none for it', () => {
    expect(() => openSoft({ arch: 'gfx1010' })).toThrow(
      expect.objectContaining({
        code: 'ERR_BACKEND_UNAVAILABLE',
        message: expect.stringContaining(
          'is a gfx1010, and there are no code objects for that; there are some for: gfx906',
        ),
        details: expect.objectContaining({ wanted: 'gfx1010', targets: ['gfx906', 'gfx1100'] }),
      }),
    );
  });

  it('says when the driver has no device, or not that one', () => {
    expect(() => openSoft({ devices: 0 })).toThrow('no device: hipErrorNoDevice');
    expect(() => openSoft({}, { device: 3 })).toThrow('There is no device 3');
  });

  it('is opened without holding JavaScript up, or says why not', async () => {
    const open = (settings: string, device = 0) => {
      vi.stubEnv('TILEWRIGHT_SOFT_HIP', settings);
      return openDevice({ backend: 'hip', hip: { driver, device, objects: softObjects } });
    };
    const opening = open('arch=gfx1100,wave=32');
    let turns = 0;
    setImmediate(() => turns++);
    await using device = await opening;
    expect([turns, device.capabilities.architecture]).toEqual([1, 'gfx1100']);
    await device.submit([work(device)]);
    await expect(open('devices=0')).rejects.toThrow('no device: hipErrorNoDevice');
    await expect(open('devices=1', 3)).rejects.toThrow('There is no device 3');
    await expect(open('fail=hipGetDevicePropertiesR0600:1:1')).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
      message: expect.stringContaining('The GPU cannot be opened: hipGetDeviceProperties failed'),
    });
    await expect(open('arch=gfx1010,wave=32')).rejects.toThrow('no code objects for that');
    vi.unstubAllEnvs();
  });

  it('reports memory that is short, and frees what it kept before it does', async () => {
    await using device = openSoft({ memory: 1 << 20 });
    for (let i = 0; i < 4; i++) device.buffer(700_000 - i * 50_000).dispose();
    const failure = {
      code: 'ERR_OUT_OF_MEMORY',
      details: { call: 'hipMalloc', error: 2, name: 'hipErrorOutOfMemory' },
    };
    expect(() => device.buffer(2 << 20)).toThrow(expect.objectContaining({ code: failure.code }));
    try {
      device.buffer(2 ** 50);
    } catch (error) {
      expect(error).toMatchObject(failure);
    }
    await device.submit([work(device)]);
  });

  it('reports a launch that the driver refuses, and goes on', async () => {
    await using device = openSoft({ fail: 'hipModuleLaunchKernel:2:1' });
    await device.submit([work(device)]);
    await expect(device.submit([work(device), work(device)])).rejects.toMatchObject({
      code: 'ERR_KERNEL_LAUNCH',
      details: { call: 'hipModuleLaunchKernel', error: 1, name: 'hipErrorInvalidValue', lost: false },
    });
    await device.submit([work(device)]);
  });

  it('reports a launch that the kernel refuses', async () => {
    await using device = openSoft();
    await expect(device.submit([work(device, scale, 13)])).rejects.toMatchObject({
      code: 'ERR_KERNEL_LAUNCH',
      message: expect.stringContaining('the factor is 13'),
    });
  });

  it('reports a code object that does not load, and tries again', async () => {
    await using device = openSoft({ fail: 'hipModuleLoadData:1:209' });
    await expect(device.submit([work(device)])).rejects.toMatchObject({
      code: 'ERR_KERNEL_UNKNOWN',
      details: { name: 'hipErrorNoBinaryForGpu' },
    });
    await device.submit([work(device)]);
  });

  it('reports a symbol that a code object lacks', async () => {
    await using device = openSoft();
    await expect(device.submit([work(device, { ...scale, entry: () => 'ghost' })])).rejects.toMatchObject({
      code: 'ERR_KERNEL_UNKNOWN',
      details: { call: 'hipModuleGetFunction', error: 500 },
    });
  });

  it.each([
    ['is empty', 0],
    ['is cut short', 63],
    ['is cut short', 900],
  ])('gives the driver no code object that %s', async (problem, length) => {
    // A header of an ELF file with sections at byte 832.
    const image = new Uint8Array(1024);
    image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
    image.set([0x40, 0x03], 0x28);
    image.set([64, 0, 3, 0], 0x3a);
    const objects = { ...softObjects, find: () => ({ key: 'own', bytes: () => image.subarray(0, length) }) };
    await using device = openSoft({}, { objects });
    await expect(device.submit([work(device)])).rejects.toMatchObject({
      code: 'ERR_KERNEL_UNKNOWN',
      message: expect.stringContaining(problem),
    });
  });

  it.each([
    ['ERR_BACKEND_UNAVAILABLE', 'hipStreamCreateWithFlags', 46],
    ['ERR_BACKEND_UNAVAILABLE', 'hipDeviceGet', 803],
  ])('says %s when %s returns %d as it is opened', (code, call, status) => {
    expect(() => openSoft({ fail: `${call}:1:${status}` })).toThrow(expect.objectContaining({ code }));
  });

  it.each([
    ['ERR_KERNEL_UNKNOWN', 'hipModuleLoadData', 303, false],
    ['ERR_KERNEL_UNKNOWN', 'hipModuleLoadData', 222, false],
    ['ERR_OUT_OF_MEMORY', 'hipModuleLoadData', 2, false],
    ['ERR_KERNEL_LAUNCH', 'hipModuleLaunchKernel', 98, false],
    ['ERR_NATIVE_FAILURE', 'hipModuleLaunchKernel', 714, true],
    ['ERR_NATIVE_FAILURE', 'hipModuleLaunchKernel', 12345, false],
  ])('says %s when %s returns %d', async (code, call, error, lost) => {
    await using device = openSoft({ fail: `${call}:1:${error}` });
    await expect(device.submit([work(device)])).rejects.toMatchObject({ code, details: { call, error, lost } });
  });

  it('is lost after a kernel that goes astray: whatever follows says so', async () => {
    await using device = openSoft();
    const lost = { code: 'ERR_NATIVE_FAILURE', details: { name: 'hipErrorIllegalAddress', lost: true } };
    const later = work(device);
    await expect(device.submit([work(device, astray)])).rejects.toMatchObject(lost);
    await expect(device.submit([later])).rejects.toMatchObject(lost);
    expect(() => device.buffer(16)).toThrow(expect.objectContaining({ code: 'ERR_NATIVE_FAILURE' }));
    await device.idle();
  });

  it('is lost when the driver says so: work in flight and later work fail', async () => {
    await using device = openSoft({ lost: 2, slow: 500 });
    const pending = Array.from({ length: 5 }, () => device.submit([work(device)]));
    const results = await Promise.allSettled(pending);
    // What had ended before is told so only if it was seen in time: a lost device answers nothing any more.
    for (const result of results.slice(2)) {
      expect(result).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_NATIVE_FAILURE', details: { lost: true } },
      });
    }
  });

  it('fails, or goes on, whichever event it cannot record', async () => {
    const outcomes = new Set<string>();
    for (let nth = 1; nth <= 8; nth++) {
      await using device = openSoft({ fail: `hipEventRecord:${nth}:2`, slow: 200 });
      const own = work(device);
      using recorded = device.record([own, own]);
      const outcomeOf = (result: PromiseSettledResult<unknown>) => {
        if (result.status === 'fulfilled') return 'done';
        const { code, details } = result.reason as TilewrightError;
        return details.lost === true ? 'lost' : code;
      };
      for (const submit of [() => device.submit([own]), () => recorded.submit()]) {
        const [result] = await Promise.allSettled([submit()]);
        outcomes.add(outcomeOf(result));
      }
    }
    // Where the end of a list is not known, its memory cannot be given back.
    expect([...outcomes].sort()).toEqual(['ERR_OUT_OF_MEMORY', 'done', 'lost']);
  });

  it('is lost in the middle of a replay', async () => {
    await using device = openSoft({ lost: 5 });
    const own = work(device);
    using recorded = device.record([own, own, own]);
    await recorded.submit();
    const lost = { code: 'ERR_NATIVE_FAILURE', details: { lost: true } };
    await expect(recorded.submit()).rejects.toMatchObject(lost);
    await expect(recorded.submit()).rejects.toMatchObject(lost);
  });

  it('waits for a kernel that does not end for so long and no longer', async () => {
    const device = openSoft({ hang: 1 }, { timeoutSeconds: 1 });
    await device.submit([work(device)]);
    await expect(device.submit([work(device)])).rejects.toMatchObject({
      code: 'ERR_NATIVE_FAILURE',
      message: expect.stringContaining('has not finished within 1 s'),
      details: { lost: true },
    });
    await device.dispose();
    await openSoft().dispose(); // the software device's next user
  });

  it('waits for memory that it can free as long as for lists, and no longer', async () => {
    const memory = 2 ** 20;
    {
      await using device = openSoft({ slow: 50_000, memory });
      device.buffer(700_000).dispose();
      const running = device.submit([work(device)]);
      expect(device.buffer(900_000).byteLength).toBe(900_000);
      await running;
    }
    const device = openSoft({ hang: 1, memory }, { timeoutSeconds: 1 });
    device.buffer(700_000).dispose();
    const own = work(device);
    await device.submit([own]);
    const hanging = device.submit([own]);
    expect(() => device.buffer(900_000)).toThrow(/OutOfMemory|not finished within 1 s/);
    await expect(hanging).rejects.toMatchObject({ details: { lost: true } });
    await device.dispose();
    await openSoft().dispose(); // the software device's next user
  });

  it('may be disposed twice, waits for work in flight, and refuses work afterwards', async () => {
    const device = openSoft({ slow: 2000 });
    let ended = false;
    const running = device.submit([work(device), work(device)]);
    running.then(() => {
      ended = true;
    });
    const buffer = device.buffer(64);
    await Promise.all([device.dispose(), device.dispose()]);
    expect(ended).toBe(true);
    expect(() => device.submit([])).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    expect(() => buffer.write(new Uint8Array(4))).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
    buffer.dispose();
  });

  it('fails submissions beyond its queue with ERR_QUEUE_FULL', async () => {
    // Long enough for all to be submitted before the first one counts as lost, also on a busy machine.
    const device = openSoft({ hang: 1 }, { timeoutSeconds: 2 });
    const one = work(device);
    await device.submit([one]);
    const results = await Promise.allSettled(Array.from({ length: 4200 }, () => device.submit([one])));
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : null));
    expect(codes.filter((code) => code === 'ERR_QUEUE_FULL').length).toBe(104);
    expect(codes.filter((code) => code === 'ERR_NATIVE_FAILURE').length).toBe(4096);
    await device.dispose();
    await openSoft().dispose(); // the software device's next user
  });

  it('does not stand in the way of a process that ends in the middle', () => {
    const script = `
      import { openSoft, scale } from './support.ts';
      import { launch } from '../../ts/device/command-list.ts';
      const device = openSoft({ slow: 3000 });
      const at = () => ({ buffer: device.buffer(256), byteOffset: 0 });
      const one = launch(scale, { buffers: { x: at(), y: at() }, constants: {}, params: { count: 64, factor: 2 } });
      await device.submit([one]);
      device.submit(Array.from({ length: 5000 }, () => one));
      setTimeout(() => process.exit(7), 20);
    `;
    const folder = fileURLToPath(new URL('.', import.meta.url));
    const begin = performance.now();
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect([child.status, child.signal, child.stderr]).toEqual([7, null, '']);
    expect(performance.now() - begin).toBeLessThan(30_000);
  });

  it('keeps no process alive that has nothing left to do', () => {
    const script = "import { openSoft } from './support.ts'; openSoft(); console.log('end');";
    const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('.', import.meta.url)),
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect([child.status, child.stdout.trim()]).toEqual([0, 'end']);
  });
});
