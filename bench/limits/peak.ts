import { max } from 'd3-array';
import { launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { probePeak } from '../../ts/kernels/elementwise.ts';

/** What is counted: f32 multiply-adds, or dot products of 8-bit integers. */
export type PeakKind = 'f32' | 'int8';

export interface Peak {
  readonly kind: PeakKind;
  /** 10^9 operations a second; a multiply-add is two. The fastest of the samples. */
  readonly gops: number;
  readonly samples: readonly number[];
}

const KINDS: Record<PeakKind, number> = { f32: 0, int8: 1 };
/** One sample lasts about this long: much longer than starting it, short enough for several. */
const SAMPLE_MS = 20;
/** Vector units need time to reach their clock. */
const WARM_UP_MS = 200;
const SAMPLES = 8;

/** What the device computes at most, from registers alone. Null if it has no instructions of that kind. */
export async function measurePeak(device: Device, kind: PeakKind, signal?: AbortSignal): Promise<Peak | null> {
  using sink = device.buffer(8);
  const done = new Float64Array(1);
  const run = async (iterations: number) => {
    const probe = launch(probePeak, {
      buffers: { sink: { buffer: sink, byteOffset: 0 } },
      constants: { kind: KINDS[kind] },
      params: { iterations },
      label: `probe_peak<${kind}>`,
    });
    const { totalMs } = await device.submit([probe], { signal });
    sink.read(new Uint8Array(done.buffer));
    return { ms: totalMs, operations: done[0]! };
  };

  let iterations = 1 << 14;
  let warm = 0;
  while (warm < WARM_UP_MS) {
    const { ms, operations } = await run(iterations);
    if (operations === 0) return null;
    warm += ms;
    iterations = Math.ceil(iterations * Math.min(SAMPLE_MS / Math.max(ms, 1e-3), 16));
  }
  const samples: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const { ms, operations } = await run(iterations);
    samples.push(operations / ms / 1e6);
  }
  return { kind, gops: max(samples)!, samples };
}
