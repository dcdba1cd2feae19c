import type { BackendName } from '../device/backend.ts';
import { Device } from '../device/device.ts';
import { TilewrightError } from '../errors.ts';
import { CpuBackend, type CpuOptions } from './cpu/cpu.ts';

export interface OpenDeviceOptions extends CpuOptions {
  /** Defaults to `auto`: the first of metal, hip and cpu that works here. */
  readonly backend?: 'auto' | BackendName | undefined;
}

const NOT_IN_THIS_RELEASE: Record<Exclude<BackendName, 'cpu'>, string> = {
  metal: 'This release of tilewright has no Metal back end',
  hip: 'This release of tilewright has no HIP back end',
};

/**
 * Open a device.
 * @throws ERR_BACKEND_UNAVAILABLE if the back end that was asked for cannot run here, with what was looked for.
 * @throws ERR_NATIVE_MISSING if the package's native binary is not there.
 */
export async function openDevice(options: OpenDeviceOptions = {}): Promise<Device> {
  const backend = options.backend ?? 'auto';
  switch (backend) {
    case 'auto':
    case 'cpu':
      return new Device(new CpuBackend(options));
    case 'metal':
    case 'hip':
      throw new TilewrightError(
        'ERR_BACKEND_UNAVAILABLE',
        `${NOT_IN_THIS_RELEASE[backend]}. Use { backend: 'cpu' } or 'auto'.`,
        { details: { backend } },
      );
    default:
      throw new TilewrightError(
        'ERR_INVALID_ARGUMENT',
        `Unknown back end "${String(backend satisfies never)}". Known: auto, cpu, metal, hip.`,
        { details: { backend } },
      );
  }
}
