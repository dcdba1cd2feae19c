import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import type { Launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { copyLaunch, Tensor } from '../../ts/device/tensor.ts';
import { Layout } from '../../ts/tensor/layout.ts';
import { uniform } from '../stats/random.ts';
import { lastLevelCacheBytes } from './cache.ts';

/** One probe reads at least this, so that it lasts some milliseconds, and this many times the last cache. */
const MIN_PROBE_BYTES = 256 << 20;
const PROBE_CACHES = 8;
/** In short runs, which are there to see that everything works, on emulated devices too. */
const QUICK_PROBE_BYTES = 1 << 16;

/**
 * Measures bandwidth by a launch that is put between the launches whose share of it is wanted: bandwidth of the same
 * second. On shared machines it changes from one second to the next, so one figure per run would be worthless.
 *
 * It is the bandwidth of reading; where a back end has no kernel for that, of copying.
 */
export class BandwidthProbe implements Disposable {
  readonly command: Launch;
  /** Bytes that are moved: read, or read and written. */
  readonly bytes: number;
  readonly #held: Disposable[] = [];

  constructor(device: Device, bytes: number = probeBytes(device)) {
    this.bytes = bytes;
    const { probes } = device.elementwise;
    if (probes !== undefined) {
      const data = this.#hold(device.buffer(bytes));
      fill(data);
      this.command = probes.read(data, this.#hold(device.buffer(8)), bytes);
      return;
    }
    const count = Math.max(1, Math.floor(bytes / 2 / Float32Array.BYTES_PER_ELEMENT));
    const data = device.buffer(count * Float32Array.BYTES_PER_ELEMENT);
    fill(data);
    const from = this.#hold(new Tensor(data, 'f32', new Layout([count])));
    this.command = copyLaunch(from, this.#hold(device.empty([count])));
  }

  #hold<T extends Disposable>(handle: T): T {
    this.#held.push(handle);
    return handle;
  }

  /** GB/s of a probe that took `ms`. */
  gbps(ms: number): number {
    return this.bytes / ms / 1e6;
  }

  dispose(): void {
    for (const handle of this.#held.splice(0)) handle[Symbol.dispose]();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Bytes of a probe of the device; of one in a short run, if `quick`. */
export function probeBytes(device: Device, quick = false): number {
  if (quick) return QUICK_PROBE_BYTES;
  const wanted = Math.max(MIN_PROBE_BYTES, PROBE_CACHES * lastLevelCacheBytes());
  return Math.min(wanted, Math.floor(device.capabilities.memoryBytes / 8));
}

/**
 * Memory that was never written is one page of zeros that stays in the cache: reading it measures nothing. The values
 * are floats between 1 and 2, so that a copy meets no odd ones.
 */
function fill(buffer: DeviceBuffer): void {
  const next = uniform(1);
  const piece = Float32Array.from({ length: 1 << 18 }, () => 1 + next());
  const bytes = new Uint8Array(piece.buffer);
  for (let at = 0; at < buffer.byteLength; at += bytes.length) {
    buffer.write(bytes.subarray(0, Math.min(bytes.length, buffer.byteLength - at)), at);
  }
}
