import type { Launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import { failLaunch, namedConstants, paramsProblem } from '../../kernels/check.ts';
import type { LaunchGeometry } from '../../kernels/declare.ts';
import type { AnyHipKernel } from '../../kernels/hip/declare.ts';

/** What one launch may use of a device. */
export interface HipLimits {
  readonly maxThreads: number;
  readonly ldsBytes: number;
}

/** A launch as the driver is given it, but for its buffers. */
export interface PreparedLaunch {
  readonly kernel: AnyHipKernel;
  /** Weight format that the kernel's file is compiled for, or null where there is one file for all. */
  readonly format: string | null;
  /** Symbol in the code object. */
  readonly entry: string;
  /** Names the function: kernels of different files may have symbols of one name. */
  readonly key: string;
  readonly grid: LaunchGeometry['threadgroups'];
  readonly block: LaunchGeometry['threads'];
  readonly sharedBytes: number;
}

/** Workgroups along y and z that NVIDIA's driver takes; AMD's takes more. */
const MAX_GRID_YZ = 65535;

export const isHipKernel = (kernel: object): kernel is AnyHipKernel =>
  'source' in kernel && typeof (kernel as { format?: unknown }).format === 'function';

/**
 * Turn a launch of a declared HIP kernel into what the driver is given; null when the problem is empty, so that there is
 * nothing to launch.
 * @throws ERR_KERNEL_UNKNOWN, ERR_KERNEL_LAUNCH
 */
export function prepareLaunch(launch: Launch, limits: HipLimits): PreparedLaunch | null {
  const { kernel, params } = launch;
  if (!isHipKernel(kernel)) {
    throw new TilewrightError('ERR_KERNEL_UNKNOWN', `${kernel.name} is no HIP kernel.`, {
      details: { kernel: kernel.name },
    });
  }
  const constants = namedConstants(kernel, launch.constants);
  const problem = paramsProblem(kernel, params) ?? kernel.refuse(params, constants);
  if (problem !== null) failLaunch(kernel, problem);
  const { threadgroups, threads, threadgroupBytes = [] } = kernel.geometry(params, constants);
  if (threadgroups.includes(0)) return null;
  const total = threads[0] * threads[1] * threads[2];
  if (total < 1 || total > limits.maxThreads) {
    failLaunch(kernel, `its workgroups have ${total} threads; the device's limit is ${limits.maxThreads}`, { threads });
  }
  if (threadgroups[0] >= 2 ** 31 || threadgroups[1] > MAX_GRID_YZ || threadgroups[2] > MAX_GRID_YZ) {
    failLaunch(kernel, `its grid of [${threadgroups.join(', ')}] workgroups is too large`, { threadgroups });
  }
  const sharedBytes = threadgroupBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (sharedBytes > limits.ldsBytes) {
    failLaunch(kernel, `it asks for ${sharedBytes} bytes of LDS; the device's limit is ${limits.ldsBytes}`, {
      sharedBytes,
    });
  }
  const [format, entry] = [kernel.format(constants), kernel.entry(constants)];
  return {
    ...{ kernel, format, entry, key: `${kernel.name} ${entry}` },
    ...{ grid: threadgroups, block: threads, sharedBytes },
  };
}
