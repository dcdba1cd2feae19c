import { TilewrightError } from '../errors.ts';
import type { BackendMemory } from './backend.ts';
import type { Device } from './device.ts';

/**
 * Memory of a device, shared by the tensors that view it: each view holds it, and it is freed when the last holder lets
 * go. Work in flight keeps the memory itself alive, so letting go never disturbs a running kernel.
 */
export class DeviceBuffer implements Disposable {
  readonly device: Device;
  readonly byteLength: number;
  /** A mapped file: kernels may read it only. */
  readonly readOnly: boolean;
  #memory: BackendMemory | null;
  #holders = 1;

  /** Use {@link Device.buffer}. */
  constructor(device: Device, memory: BackendMemory) {
    this.device = device;
    this.byteLength = memory.byteLength;
    this.readOnly = memory.readOnly;
    this.#memory = memory;
  }

  get disposed(): boolean {
    return this.#memory === null;
  }

  /** The back end's memory. @throws ERR_DISPOSED */
  get memory(): BackendMemory {
    if (this.#memory === null) {
      throw new TilewrightError('ERR_DISPOSED', 'This buffer was disposed; create a new one.');
    }
    return this.#memory;
  }

  /** Copy `bytes` into the buffer. Not ordered with work in flight: await that first. */
  write(bytes: Uint8Array, byteOffset = 0): void {
    this.#checkRange(byteOffset, bytes.byteLength);
    if (this.readOnly) throw new TilewrightError('ERR_INVALID_ARGUMENT', 'A mapped file is read-only.');
    this.memory.write(bytes, byteOffset);
  }

  /** Copy out of the buffer. Not ordered with work in flight: await that first. */
  read(target: Uint8Array, byteOffset = 0): void {
    this.#checkRange(byteOffset, target.byteLength);
    this.memory.read(target, byteOffset);
  }

  #checkRange(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > this.byteLength) {
      throw new TilewrightError(
        'ERR_OUT_OF_BOUNDS',
        `Bytes ${offset} to ${offset + length} lie outside a buffer of ${this.byteLength} bytes.`,
        { details: { offset, length, byteLength: this.byteLength } },
      );
    }
  }

  /** Add a holder; each one calls {@link dispose} once. */
  retain(): this {
    void this.memory;
    this.#holders++;
    return this;
  }

  /** Let go; the last holder frees the memory. */
  dispose(): void {
    if (this.#memory === null || --this.#holders > 0) return;
    this.#memory.release();
    this.#memory = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
