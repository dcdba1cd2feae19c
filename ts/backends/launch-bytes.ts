import type { BackendMemory } from '../device/backend.ts';
import type { Binding, Launch } from '../device/command-list.ts';

const ABSENT = 0xffffffff;
/** Of a binding: an index and an offset. */
const BINDING_BYTES = 12;

/** Launches as bytes for native code, and the memory that they name by index. */
export interface EncodedCommands {
  readonly bytes: Uint8Array;
  readonly memory: readonly BackendMemory[];
}

/** Writes launches as native code reads them; what comes first of each differs from back end to back end. */
export class LaunchBytes implements EncodedCommands {
  readonly bytes: Uint8Array;
  readonly memory: BackendMemory[] = [];
  readonly #view: DataView;
  readonly #indices = new Map<BackendMemory, number>();
  #at = 0;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** Bytes that {@link bindings} and {@link params} take. */
  static of({ bindings, kernel }: Launch): number {
    return BINDING_BYTES * bindings.length + kernel.params.byteLength;
  }

  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** Per buffer its index in `memory` (u32, all ones where absent) and byte offset (u64). */
  bindings(bindings: readonly (Binding | null)[]): void {
    for (const binding of bindings) {
      if (binding === null) {
        this.u32(ABSENT);
        this.#at += 8;
        continue;
      }
      this.u32(this.#indexOf(binding.buffer.memory));
      this.u32(binding.byteOffset % 2 ** 32);
      this.u32(Math.floor(binding.byteOffset / 2 ** 32));
    }
  }

  /** The parameter struct. */
  params({ kernel, params }: Launch): void {
    kernel.params.encode(params, this.#view, this.#at);
    this.#at += kernel.params.byteLength;
  }

  #indexOf(owner: BackendMemory): number {
    let index = this.#indices.get(owner);
    if (index === undefined) {
      index = this.memory.length;
      this.#indices.set(owner, index);
      this.memory.push(owner);
    }
    return index;
  }
}
