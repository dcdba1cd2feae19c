import type { BackendMemory } from '../../device/backend.ts';
import type { Launch } from '../../device/command-list.ts';

const ABSENT = 0xffffffff;

/** Launches as the bytes that Sources/NodeAddon/engine.cpp reads, and the memory that they name by index. */
export interface EncodedCommands {
  readonly bytes: Uint8Array;
  readonly memory: readonly BackendMemory[];
}

/**
 * Per launch: kernel id, counts of constants and buffers, parameter bytes (u32 each); the constants (u32); per buffer
 * its index in `memory` (u32, all ones where absent) and byte offset (u64); the parameter struct.
 */
export function encodeLaunches(launches: readonly Launch[]): EncodedCommands {
  let size = 0;
  for (const { kernel, constants, bindings } of launches) {
    size += 16 + 4 * constants.length + 12 * bindings.length + kernel.params.byteLength;
  }
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const memory: BackendMemory[] = [];
  const indices = new Map<BackendMemory, number>();
  let at = 0;
  const u32 = (value: number) => {
    view.setUint32(at, value, true);
    at += 4;
  };
  for (const { kernel, constants, bindings, params } of launches) {
    u32(kernel.id);
    u32(constants.length);
    u32(bindings.length);
    u32(kernel.params.byteLength);
    for (const constant of constants) u32(constant);
    for (const binding of bindings) {
      if (binding === null) {
        u32(ABSENT);
        at += 8;
        continue;
      }
      const owner = binding.buffer.memory;
      let index = indices.get(owner);
      if (index === undefined) {
        index = memory.length;
        indices.set(owner, index);
        memory.push(owner);
      }
      u32(index);
      u32(binding.byteOffset % 2 ** 32);
      u32(Math.floor(binding.byteOffset / 2 ** 32));
    }
    kernel.params.encode(params, view, at);
    at += kernel.params.byteLength;
  }
  return { bytes, memory };
}
