import type { Device } from '../../ts/device/device.ts';
import { BandwidthProbe, probeBytes } from './bandwidth.ts';
import { measureLaunchMs } from './launch.ts';
import { measurePeak, type Peak, type PeakKind, PeakProbe } from './peak.ts';

/** A clock probe beside a round lasts about this long. */
const CLOCK_MS = 1;
const CLOCK_WARM_UP_MS = 20;

/**
 * This device's limits. Peaks and the cost of a launch are measured once, when they are first asked for; bandwidth and
 * clock have to be sampled beside what is compared to them, by {@link probe} and {@link clock}.
 */
export class Limits implements Disposable {
  readonly #device: Device;
  readonly #signal: AbortSignal | undefined;
  readonly #quick: boolean;
  readonly #peaks = new Map<PeakKind, Peak | null>();
  #launchMs: number | null = null;
  #probe: BandwidthProbe | null = null;
  #clock: PeakProbe | null | undefined;

  /** @param quick  short probes, for runs that are there to see that everything works. */
  constructor(device: Device, signal?: AbortSignal, quick = false) {
    this.#device = device;
    this.#signal = signal;
    this.#quick = quick;
  }

  get probe(): BandwidthProbe {
    this.#probe ??= new BandwidthProbe(this.#device, probeBytes(this.#device, this.#quick));
    return this.#probe;
  }

  /** Shows the clock of the moment; null where the back end has no such probe. */
  async clock(): Promise<PeakProbe | null> {
    if (this.#clock === undefined) {
      const warmUp = this.#quick ? CLOCK_MS : CLOCK_WARM_UP_MS;
      this.#clock = await PeakProbe.open(this.#device, 'f32', CLOCK_MS, warmUp, this.#signal);
    }
    return this.#clock;
  }

  /** The peak of that kind; where the device has no integer dot products, that of f32. Null where it has no probe. */
  async peak(kind: PeakKind): Promise<Peak | null> {
    let peak = this.#peaks.get(kind);
    if (peak === undefined) {
      peak = await measurePeak(this.#device, kind, this.#signal, this.#quick);
      this.#peaks.set(kind, peak);
    }
    return peak ?? (kind === 'f32' ? null : await this.peak('f32'));
  }

  async launchMs(): Promise<number> {
    this.#launchMs ??= await measureLaunchMs(this.#device, this.#signal, this.#quick);
    return this.#launchMs;
  }

  dispose(): void {
    this.#probe?.dispose();
    this.#probe = null;
    this.#clock?.[Symbol.dispose]();
    this.#clock = undefined;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
