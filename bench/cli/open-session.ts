import { openDevice } from '../../ts/backends/open.ts';
import type { Device } from '../../ts/device/device.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { Limits } from '../limits/limits.ts';
import type { Progress, Session } from '../suites/session.ts';
import type { BackendChoice, SessionArgs } from './options.ts';

/** In the order in which `all` runs them. */
const ALL: readonly BackendChoice[] = ['metal', 'hip', 'cpu'];

/** The devices that were asked for, one after the other; each is closed when the next one is asked for. */
export async function* openDevices(args: SessionArgs): AsyncGenerator<Device, void, undefined> {
  const { threads, isa, backend } = args;
  const wanted = backend === 'all' ? ALL : backend;
  for (const choice of wanted) {
    let device: Device;
    try {
      device = await openDevice({ backend: choice, threads, isa });
    } catch (error) {
      const absent = error instanceof TilewrightError && error.code === 'ERR_BACKEND_UNAVAILABLE';
      if (backend === 'all' && absent) continue;
      throw error;
    }
    try {
      yield device;
    } finally {
      await device.dispose();
    }
  }
}

/** A session on a device, as the options say; its limits are to be disposed. */
export function sessionOn(
  device: Device,
  args: SessionArgs,
  told: { readonly signal: AbortSignal; readonly progress: Progress; readonly skipped: Session['skipped'] },
): Session & Disposable {
  const limits = new Limits(device, told.signal, args.quick);
  const effort = { timeMs: args.time, rounds: args.rounds ?? (args.quick ? 2 : undefined), quick: args.quick };
  return { device, limits, effort, seed: args.seed, ...told, [Symbol.dispose]: () => limits.dispose() };
}
