import type { Launch } from '../../device/command-list.ts';
import { type EncodedCommands, LaunchBytes } from '../launch-bytes.ts';

/**
 * Launches as Sources/NodeAddon/engine.cpp reads them: kernel id, counts of constants and buffers, parameter bytes (u32
 * each); the constants (u32); the bindings; the parameter struct.
 */
export function encodeLaunches(launches: readonly Launch[]): EncodedCommands {
  let size = 0;
  for (const launch of launches) size += 16 + 4 * launch.constants.length + LaunchBytes.of(launch);
  const to = new LaunchBytes(size);
  for (const launch of launches) {
    const { kernel, constants, bindings } = launch;
    to.u32(kernel.id);
    to.u32(constants.length);
    to.u32(bindings.length);
    to.u32(kernel.params.byteLength);
    for (const constant of constants) to.u32(constant);
    to.bindings(bindings);
    to.params(launch);
  }
  return to;
}
