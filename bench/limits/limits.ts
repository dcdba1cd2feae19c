import type { Device } from '../../ts/device/device.ts';
import { BandwidthProbe } from './bandwidth.ts';
import { measureLaunchMs } from './launch.ts';
import { measurePeak, type Peak, type PeakKind } from './peak.ts';

/**
 * This device's limits. Peaks and the cost of a launch are measured once, when they are first asked for; bandwidth has
 * to be sampled beside what is compared to it, by {@link probe}.
 */
export class Limits implements Disposable {
  readonly #device: Device;
  readonly #signal: AbortSignal | undefined;
  readonly #peaks = new Map<PeakKind, Peak | null>();
  #launchMs: number | null = null;
  #probe: BandwidthProbe | null = null;

  constructor(device: Device, signal?: AbortSignal) {
    this.#device = device;
    this.#signal = signal;
  }

  get probe(): BandwidthProbe {
    this.#probe ??= new BandwidthProbe(this.#device);
    return this.#probe;
  }

  /** The peak of that kind; where the device has no integer dot products, that of f32. */
  async peak(kind: PeakKind): Promise<Peak> {
    let peak = this.#peaks.get(kind);
    if (peak === undefined) {
      peak = await measurePeak(this.#device, kind, this.#signal);
      this.#peaks.set(kind, peak);
    }
    return peak ?? (await this.peak('f32'));
  }

  async launchMs(): Promise<number> {
    this.#launchMs ??= await measureLaunchMs(this.#device, this.#signal);
    return this.#launchMs;
  }

  dispose(): void {
    this.#probe?.dispose();
    this.#probe = null;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
