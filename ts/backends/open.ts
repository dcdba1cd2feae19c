import type { Backend, BackendName } from '../device/backend.ts';
import { Device } from '../device/device.ts';
import { TilewrightError } from '../errors.ts';
import { CpuBackend, type CpuOptions } from './cpu/cpu.ts';
import { HipBackend } from './hip/hip.ts';
import type { HipOptions } from './hip/options.ts';
import { MetalBackend, type MetalOptions } from './metal/metal.ts';

export interface OpenDeviceOptions extends CpuOptions {
  /** Defaults to `auto`: the first of metal, hip and cpu that works here. */
  readonly backend?: 'auto' | BackendName | undefined;
  /** Of the Metal back end. */
  readonly metal?: MetalOptions | undefined;
  /** Of the HIP back end. */
  readonly hip?: HipOptions | undefined;
}

const OPENERS: Readonly<Record<BackendName, (options: OpenDeviceOptions) => Backend | Promise<Backend>>> = {
  metal: (options) => new MetalBackend(options.metal),
  hip: (options) => HipBackend.open(options.hip),
  cpu: (options) => new CpuBackend(options),
};

/** GPUs that this system may have, best first. The software Metal device is opened by name only. */
const AUTOMATIC: readonly BackendName[] = process.platform === 'darwin' ? ['metal'] : ['hip'];

/**
 * Open a device.
 * @throws ERR_BACKEND_UNAVAILABLE if the back end that was asked for cannot run here, with what was looked for.
 * @throws ERR_NATIVE_MISSING if the package's native binary is not there.
 */
export async function openDevice(options: OpenDeviceOptions = {}): Promise<Device> {
  if (typeof options !== 'object' || options === null) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', `openDevice() takes an object with options, not ${options}.`);
  }
  const backend = options.backend ?? 'auto';
  if (backend !== 'auto') {
    if (!Object.hasOwn(OPENERS, backend)) {
      throw new TilewrightError(
        'ERR_INVALID_ARGUMENT',
        `Unknown back end "${String(backend)}". Known: auto, ${Object.keys(OPENERS).join(', ')}.`,
        { details: { backend } },
      );
    }
    return new Device(await OPENERS[backend](options));
  }
  for (const name of AUTOMATIC) {
    try {
      return new Device(await OPENERS[name](options));
    } catch (error) {
      const missing = error instanceof TilewrightError && error.code === 'ERR_BACKEND_UNAVAILABLE';
      if (!missing) throw error;
    }
  }
  return new Device(await OPENERS.cpu(options));
}
