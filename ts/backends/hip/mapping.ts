import type { BackendMapping, BackendMemory, LoadOptions } from '../../device/backend.ts';
import { type NativeGpu, type NativeGpuBuffer, type NativeMapping, nativeCall, nativeError } from '../native.ts';
import { NativeMemory } from '../native-memory.ts';

export type HipMemory = NativeMemory<NativeGpuBuffer>;

/** Bytes that are copied to the device between two looks at the signal. */
const STAGED_BYTES = 32 << 20;

/** A file whose ranges are copied to the device when they are asked for: a GPU of its own cannot read host pages fast. */
export class HipMapping implements BackendMapping {
  readonly #gpu: NativeGpu;
  readonly #native: NativeMapping;
  readonly byteLength: number;

  constructor(gpu: NativeGpu, native: NativeMapping) {
    this.#gpu = gpu;
    this.#native = native;
    this.byteLength = native.byteLength;
  }
  range(offset: number, length: number): BackendMemory {
    return nativeCall(() => {
      const host = this.#native.range(offset, length);
      try {
        return new NativeMemory(this.#gpu.upload(host), true);
      } finally {
        host.release();
      }
    });
  }
  async load(offset: number, length: number, { signal, onBytes }: LoadOptions): Promise<BackendMemory> {
    const host = nativeCall(() => this.#native.range(offset, length));
    let memory: HipMemory | null = null;
    try {
      const target = nativeCall(() => this.#gpu.reserve(length));
      memory = new NativeMemory(target, true);
      for (let at = 0; at < length; at += STAGED_BYTES) {
        signal?.throwIfAborted();
        const bytes = Math.min(STAGED_BYTES, length - at);
        await nativeCall(() => this.#gpu.stage(target, host, at, bytes)).catch((error) => {
          throw nativeError(error);
        });
        onBytes?.(bytes);
      }
      return memory;
    } catch (error) {
      memory?.release();
      throw error;
    } finally {
      host.release();
    }
  }
  release(): void {
    this.#native.release();
  }
}
