import { max } from 'd3-array';
import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import type { Launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';

/** What is counted: f32 multiply-adds, or dot products of 8-bit integers. */
export type PeakKind = 'f32' | 'int8';

export interface Peak {
  readonly kind: PeakKind;
  /** 10^9 operations a second; a multiply-add is two. The fastest of the samples. */
  readonly gops: number;
  readonly samples: readonly number[];
}

/** One sample lasts about this long: much longer than starting it, short enough for several. */
const SAMPLE_MS = 20;
/** Vector units need time to reach their clock. */
const WARM_UP_MS = 200;
const SAMPLES = 8;
/** On a machine so busy that no two samples agree, what there is has to do. */
const MAX_ATTEMPTS = 64;
/** In short runs. */
const QUICK = { sampleMs: 1, warmUpMs: 2, samples: 2 };

/** What the device computes at most, from registers alone. Null if it has no such instructions, or no probe of them. */
export async function measurePeak(
  device: Device,
  kind: PeakKind,
  signal?: AbortSignal,
  quick = false,
): Promise<Peak | null> {
  const effort = quick ? QUICK : { sampleMs: SAMPLE_MS, warmUpMs: WARM_UP_MS, samples: SAMPLES };
  using probe = await PeakProbe.open(device, kind, effort.sampleMs, effort.warmUpMs, signal);
  if (probe === null) return null;
  const samples: number[] = [];
  for (let i = 0; i < effort.samples; i++) {
    const { totalMs } = await device.submit([probe.command], { signal });
    samples.push(probe.gops(totalMs));
  }
  return { kind, gops: max(samples)!, samples };
}

/**
 * A launch of multiply-adds from registers. Beside what is measured it shows the clock of the moment: the work is always
 * the same, and no memory is in it.
 */
export class PeakProbe implements Disposable {
  readonly command: Launch;
  readonly #operations: number;
  readonly #sink: DeviceBuffer;

  private constructor(command: Launch, operations: number, sink: DeviceBuffer) {
    this.command = command;
    this.#operations = operations;
    this.#sink = sink;
  }

  /** A probe that lasts about `sampleMs`; null if the device has none. */
  static async open(
    device: Device,
    kind: PeakKind,
    sampleMs: number,
    warmUpMs: number,
    signal?: AbortSignal,
  ): Promise<PeakProbe | null> {
    const { probes } = device.elementwise;
    if (probes === undefined) return null;
    const sink = device.buffer(8);
    try {
      const done = new Float64Array(1);
      let iterations = 1 << 10;
      let warm = 0;
      for (let attempt = 1; ; attempt++) {
        const command = probes.peak(kind, iterations, sink);
        // The faster of two: a thread that was held up would make the probe too short to be one.
        const first = await device.submit([command], { signal });
        const second = await device.submit([command], { signal });
        const totalMs = Math.min(first.totalMs, second.totalMs);
        sink.read(new Uint8Array(done.buffer));
        if (done[0] === 0) {
          sink.dispose();
          return null;
        }
        warm += first.totalMs + second.totalMs;
        const factor = Math.min(sampleMs / Math.max(totalMs, 1e-3), 16);
        const fits = warm >= warmUpMs && factor > 0.5 && factor < 2;
        if (fits || attempt === MAX_ATTEMPTS) return new PeakProbe(command, done[0]!, sink);
        iterations = Math.max(1, Math.ceil(iterations * factor));
      }
    } catch (error) {
      sink.dispose();
      throw error;
    }
  }

  /** 10^9 operations a second of a probe that took `ms`. */
  gops(ms: number): number {
    return this.#operations / ms / 1e6;
  }

  [Symbol.dispose](): void {
    this.#sink.dispose();
  }
}
