import { min } from 'd3-array';
import { launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { probePeak } from '../../ts/kernels/elementwise.ts';

const LAUNCHES = 256;
const SAMPLES = 9;

/** Milliseconds that a launch takes which does nothing: sharing it out to all threads and waiting for them. */
export async function measureLaunchMs(device: Device, signal?: AbortSignal): Promise<number> {
  using sink = device.buffer(8);
  const nothing = launch(probePeak, {
    buffers: { sink: { buffer: sink, byteOffset: 0 } },
    constants: { kind: 0 },
    params: { iterations: 0 },
    label: 'nothing',
  });
  const list = new Array(LAUNCHES).fill(nothing);
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++) samples.push((await device.submit(list, { signal })).totalMs / LAUNCHES);
  return min(samples)!;
}
