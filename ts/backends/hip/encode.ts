import type { BackendMemory } from '../../device/backend.ts';
import type { Launch } from '../../device/command-list.ts';
import type { PreparedLaunch } from './prepare.ts';

const ABSENT = 0xffffffff;

/** A launch with the number of its function in the driver. */
export interface ReadyLaunch {
  readonly launch: Launch;
  readonly prepared: PreparedLaunch;
  readonly function: number;
}

/** Launches as the bytes that Sources/GpuDriver/commands.cpp reads, and the memory that they name by index. */
export interface EncodedCommands {
  readonly bytes: Uint8Array;
  readonly memory: readonly BackendMemory[];
}

/**
 * Per launch: function, bytes of dynamic LDS, grid (3), block (3), count of buffers, bytes of parameters (u32 each); per
 * buffer its index in `memory` (u32, all ones where absent) and byte offset (u64); the parameter struct.
 */
export function encodeLaunches(launches: readonly ReadyLaunch[]): EncodedCommands {
  let size = 0;
  for (const { launch } of launches) size += 40 + 12 * launch.bindings.length + launch.kernel.params.byteLength;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  const memory: BackendMemory[] = [];
  const indices = new Map<BackendMemory, number>();
  let at = 0;
  const u32 = (value: number) => {
    view.setUint32(at, value, true);
    at += 4;
  };
  for (const { launch, prepared, function: id } of launches) {
    u32(id);
    u32(prepared.sharedBytes);
    for (const count of prepared.grid) u32(count);
    for (const count of prepared.block) u32(count);
    u32(launch.bindings.length);
    u32(launch.kernel.params.byteLength);
    for (const binding of launch.bindings) {
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
    launch.kernel.params.encode(launch.params, view, at);
    at += launch.kernel.params.byteLength;
  }
  return { bytes, memory };
}
