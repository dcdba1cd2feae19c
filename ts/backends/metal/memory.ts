import type { BackendMapping, BackendMemory } from '../../device/backend.ts';
import { bridgeCall, type MetalBridgeBuffer, type MetalBridgeMapping } from './bridge.ts';

/** A Metal buffer. Runs that still wait for their pipelines hold it, so that letting go never disturbs them. */
export class MetalMemory implements BackendMemory {
  readonly buffer: MetalBridgeBuffer;
  readonly byteLength: number;
  readonly readOnly: boolean;
  #holds = 0;
  #released = false;

  constructor(buffer: MetalBridgeBuffer) {
    this.buffer = buffer;
    this.byteLength = buffer.byteLength;
    this.readOnly = buffer.readOnly;
  }
  write(bytes: Uint8Array, offset: number): void {
    bridgeCall(() => this.buffer.write(bytes, offset));
  }
  read(target: Uint8Array, offset: number): void {
    bridgeCall(() => this.buffer.read(target, offset));
  }

  hold(): void {
    this.#holds++;
  }
  letGo(): void {
    if (--this.#holds === 0 && this.#released) this.buffer.release();
  }
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (this.#holds === 0) this.buffer.release();
  }
}

export class MetalMapping implements BackendMapping {
  readonly #mapping: MetalBridgeMapping;
  readonly byteLength: number;

  constructor(mapping: MetalBridgeMapping) {
    this.#mapping = mapping;
    this.byteLength = mapping.byteLength;
  }
  range(offset: number, length: number): BackendMemory {
    return new MetalMemory(bridgeCall(() => this.#mapping.range(offset, length)));
  }
  release(): void {
    this.#mapping.release();
  }
}
