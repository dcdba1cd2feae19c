import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import { type Launch, launch } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import { probeRead } from '../../ts/kernels/elementwise.ts';
import { uniform } from '../stats/random.ts';
import { lastLevelCacheBytes } from './cache.ts';

/** One probe reads at least this, so that it lasts some milliseconds, and this many times the last cache. */
const MIN_PROBE_BYTES = 256 << 20;
const PROBE_CACHES = 8;

/**
 * Measures read bandwidth by a launch that is put between the launches whose share of it is wanted: bandwidth of the
 * same second. On shared machines it changes from one second to the next, so one figure per run would be worthless.
 */
export class BandwidthProbe implements Disposable {
  readonly command: Launch;
  readonly bytes: number;
  readonly #data: DeviceBuffer;
  readonly #sink: DeviceBuffer;

  constructor(device: Device, bytes: number = defaultProbeBytes(device.capabilities.memoryBytes)) {
    this.bytes = bytes;
    this.#data = device.buffer(bytes);
    this.#sink = device.buffer(8);
    fill(this.#data);
    this.command = launch(probeRead, {
      buffers: {
        data: { buffer: this.#data, byteOffset: 0 },
        sink: { buffer: this.#sink, byteOffset: 0 },
      },
      constants: {},
      params: { bytes },
      label: 'probe_read',
    });
  }

  /** GB/s of a probe that took `ms`. */
  gbps(ms: number): number {
    return this.bytes / ms / 1e6;
  }

  dispose(): void {
    this.#data.dispose();
    this.#sink.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

function defaultProbeBytes(memoryBytes: number): number {
  const wanted = Math.max(MIN_PROBE_BYTES, PROBE_CACHES * lastLevelCacheBytes());
  return Math.min(wanted, Math.floor(memoryBytes / 8));
}

/** Memory that was never written is one page of zeros that stays in the cache: reading it measures nothing. */
function fill(buffer: DeviceBuffer): void {
  const next = uniform(1);
  const piece = Uint32Array.from({ length: 1 << 18 }, () => next() * 2 ** 32);
  const bytes = new Uint8Array(piece.buffer);
  for (let at = 0; at < buffer.byteLength; at += bytes.length) {
    buffer.write(bytes.subarray(0, Math.min(bytes.length, buffer.byteLength - at)), at);
  }
}
