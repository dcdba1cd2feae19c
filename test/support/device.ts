import { afterAll } from 'vitest';
import { loadBridge } from '../../ts/backends/metal/load.ts';
import { MetalBackend, type MetalOptions } from '../../ts/backends/metal/metal.ts';
import { loadNative } from '../../ts/backends/native.ts';
import { openDevice } from '../../ts/backends/open.ts';
import type { BackendName } from '../../ts/device/backend.ts';
import { Device } from '../../ts/device/device.ts';
import { softBridge } from './soft-bridge.ts';

/** The back end that the tests of ops and dispatcher run on; a project of vitest.config.ts each. */
export const BACKEND = (process.env.TILEWRIGHT_TEST_BACKEND ?? 'cpu') as BackendName;
export const onCpu = BACKEND === 'cpu';
/** On a GPU work of this size ends before anybody can look, or stop it. */
export const onGpu = process.env.TILEWRIGHT_TEST_GPU === '1';

/** The CPU's instruction sets that this machine runs (every one is tested, not only the best), or the GPU back end. */
export const isas: readonly string[] = onCpu
  ? loadNative()
      .isas()
      .flatMap(({ name, supported }) => (supported ? [name] : []))
  : [BACKEND];

/** Random cases of a test: fewer where launches are emulated, fewest where each is a process. */
const SHARE = onCpu || onGpu ? 1 : process.env.TILEWRIGHT_METAL === undefined ? 1 / 10 : 1 / 4;
export const runs = (onTheCpu: number): number => Math.ceil(onTheCpu * SHARE);

/**
 * A Metal device: the machine's bridge where TILEWRIGHT_METAL names one (the Swift bridge over the software device, or a
 * Mac's), else the bridge's interface over the test bed.
 */
export function openMetal(options: MetalOptions = {}): Device {
  return new Device(
    process.env.TILEWRIGHT_METAL === undefined ? new MetalBackend(options, softBridge) : new MetalBackend(options),
  );
}

/**
 * A HIP device: the machine's GPU where TILEWRIGHT_TEST_GPU is set, else the software device that TILEWRIGHT_SOFT_HIP
 * describes.
 */
async function openHip(): Promise<Device> {
  if (onGpu) return openDevice({ backend: 'hip' });
  const { openSoft } = await import('../hip-backend/support.ts');
  return openSoft({ arch: process.env.TILEWRIGHT_TEST_ARCH ?? 'gfx1100' });
}

/** The Swift bridge works here: on a Mac, or where Swift's libraries are. */
export const metalLoads: boolean = (() => {
  try {
    return loadBridge() !== null;
  } catch {
    return false;
  }
})();

/** A device for the tests of a file, closed after them. */
export async function testDevice(options: { readonly isa?: string; readonly threads?: number } = {}) {
  const device =
    BACKEND === 'metal'
      ? openMetal()
      : BACKEND === 'hip'
        ? await openHip()
        : await openDevice({ backend: BACKEND, ...(onCpu && { threads: 2, pin: false, ...options }) });
  afterAll(() => device.dispose());
  return device;
}
