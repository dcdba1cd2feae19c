import type { Launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import { paramsProblem } from '../../kernels/check.ts';
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
  readonly grid: LaunchGeometry['threadgroups'];
  readonly block: LaunchGeometry['threads'];
  readonly sharedBytes: number;
}

/** Workgroups along y and z that NVIDIA's driver takes; AMD's takes more. */
const MAX_GRID_YZ = 65535;

function fail(kernel: AnyHipKernel, problem: string, details: Record<string, unknown> = {}): never {
  throw new TilewrightError('ERR_KERNEL_LAUNCH', `Kernel ${kernel.name} cannot be launched: ${problem}.`, {
    details: { kernel: kernel.name, ...details },
  });
}

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
  const constants: Record<string, number> = {};
  kernel.constants.forEach((name, i) => {
    const value = launch.constants[i];
    if (value === undefined || !Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
      fail(kernel, `its constant "${name}" is an unsigned 32-bit number, not ${String(value)}`, { constant: name });
    }
    constants[name] = value;
  });
  const problem = paramsProblem(kernel, params) ?? kernel.refuse(params, constants);
  if (problem !== null) fail(kernel, problem);
  const { threadgroups, threads, threadgroupBytes = [] } = kernel.geometry(params, constants);
  if (threadgroups.includes(0)) return null;
  const total = threads[0] * threads[1] * threads[2];
  if (total < 1 || total > limits.maxThreads) {
    fail(kernel, `its workgroups have ${total} threads; the device's limit is ${limits.maxThreads}`, { threads });
  }
  if (threadgroups[0] >= 2 ** 31 || threadgroups[1] > MAX_GRID_YZ || threadgroups[2] > MAX_GRID_YZ) {
    fail(kernel, `its grid of [${threadgroups.join(', ')}] workgroups is too large`, { threadgroups });
  }
  const sharedBytes = threadgroupBytes.reduce((sum, bytes) => sum + bytes, 0);
  if (sharedBytes > limits.ldsBytes) {
    fail(kernel, `it asks for ${sharedBytes} bytes of LDS; the device's limit is ${limits.ldsBytes}`, { sharedBytes });
  }
  return {
    ...{ kernel, format: kernel.format(constants), entry: kernel.entry(constants) },
    ...{ grid: threadgroups, block: threads, sharedBytes },
  };
}
