import type { Launch } from '../../device/command-list.ts';
import { type EncodedCommands, LaunchBytes } from '../launch-bytes.ts';
import type { PreparedLaunch } from './prepare.ts';

/** A launch with the number of its function in the driver. */
export interface ReadyLaunch {
  readonly launch: Launch;
  readonly prepared: PreparedLaunch;
  readonly function: number;
}

/**
 * Launches as Sources/GpuDriver/commands.cpp reads them: function, bytes of dynamic LDS, grid (3), block (3), count of
 * buffers, bytes of parameters (u32 each); the bindings; the parameter struct.
 */
export function encodeLaunches(launches: readonly ReadyLaunch[]): EncodedCommands {
  let size = 0;
  for (const { launch } of launches) size += 40 + LaunchBytes.of(launch);
  const to = new LaunchBytes(size);
  for (const { launch, prepared, function: id } of launches) {
    to.u32(id);
    to.u32(prepared.sharedBytes);
    for (const count of prepared.grid) to.u32(count);
    for (const count of prepared.block) to.u32(count);
    to.u32(launch.bindings.length);
    to.u32(launch.kernel.params.byteLength);
    to.bindings(launch.bindings);
    to.params(launch);
  }
  return to;
}
