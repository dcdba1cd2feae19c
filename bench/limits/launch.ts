import { min } from 'd3-array';
import type { Launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { copyLaunch } from '../../ts/device/tensor.ts';

const LAUNCHES = 256;
const SAMPLES = 9;
/** In short runs, where a launch may be emulated. */
const QUICK = { launches: 4, samples: 1 };

/** A launch that does nothing, on all threads; where a back end has no such kernel, it copies one number. */
export class TinyLaunch implements Disposable {
  readonly command: Launch;
  readonly #held: readonly Disposable[];

  constructor(device: Device) {
    const { probes } = device.elementwise;
    if (probes !== undefined) {
      const sink = device.buffer(8);
      this.#held = [sink];
      this.command = probes.peak('f32', 0, sink);
      return;
    }
    const from = device.empty([1]);
    const to = device.empty([1]);
    this.#held = [from, to];
    this.command = copyLaunch(from, to);
  }

  [Symbol.dispose](): void {
    for (const handle of this.#held) handle[Symbol.dispose]();
  }
}

/** Milliseconds that a launch takes which does nothing: sharing it out to all threads and waiting for them. */
export async function measureLaunchMs(device: Device, signal?: AbortSignal, quick = false): Promise<number> {
  const { launches, samples: wanted } = quick ? QUICK : { launches: LAUNCHES, samples: SAMPLES };
  using nothing = new TinyLaunch(device);
  const list = new Array<Launch>(launches).fill(nothing.command);
  const samples: number[] = [];
  for (let i = 0; i < wanted; i++) samples.push((await device.submit(list, { signal })).totalMs / launches);
  return min(samples)!;
}
