import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { buildSoftHip } from '../../ts/testbed/soft-hip.ts';
import { hasClang, openSoft, scale } from './support.ts';

const folder = await mkdtemp(join(tmpdir(), 'tilewright-ranges-'));
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

/** What the software device's ROCTX was told while `work` ran on a device: depth and name of each range. */
async function rangesOf(roctx: string | undefined, work: (device: Device) => Promise<unknown>): Promise<string> {
  const path = join(folder, 'ranges.txt');
  await rm(path, { force: true });
  vi.stubEnv('TILEWRIGHT_SOFT_ROCTX', path);
  vi.stubEnv('TILEWRIGHT_ROCTX', roctx);
  await using device = openSoft({ arch: 'gfx1100' });
  await work(device);
  return await readFile(path, 'utf8').catch(() => '');
}

async function threeLaunches(device: Device): Promise<void> {
  const [x, y] = [device.buffer(12), device.buffer(12)];
  const named = (label: string) =>
    launch(scale, {
      buffers: { x: { buffer: x, byteOffset: 0 }, y: { buffer: y, byteOffset: 0 } },
      constants: {},
      params: { count: 3, factor: 2 },
      label,
    });
  await device.submit([named('first 1x3'), named('second 1x3')]);
  using recorded = device.record([named('third 1x3')]);
  await recorded.submit({ timings: true });
  await recorded.submit();
}

describe.runIf(hasClang)('ranges for profilers', () => {
  it('are named by the labels of launches, one after the other', async () => {
    const told = await rangesOf(await buildSoftHip(), threeLaunches);
    expect(told.split('\n')).toEqual(['0 first 1x3', '0 second 1x3', '0 third 1x3', '0 replay of 1 launches', '']);
  });

  it('are off unless they are asked for, and where there is no such library', async () => {
    expect(await rangesOf(undefined, threeLaunches)).toBe('');
    expect(await rangesOf('0', threeLaunches)).toBe('');
    expect(await rangesOf(join(folder, 'nowhere.so'), threeLaunches)).toBe('');
  });
});
