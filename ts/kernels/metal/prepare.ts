import { TilewrightError } from '../../errors.ts';
import { type BoundBuffer, failLaunch, namedConstants, paramsProblem } from '../check.ts';
import type { AnyKernel, LaunchGeometry, Triple } from '../declare.ts';
import type { StructFields, StructValue } from '../struct.ts';
import { type AnyMetalKernel, CONSTANT_TYPES, isMetalKernel } from './declare.ts';

export { CONSTANT_TYPES } from './declare.ts';

/** What one launch may use of a device; names as in its capabilities. */
export interface MetalLimits {
  readonly maxThreadgroupBytes: number;
  readonly maxThreadgroupThreads: number;
}
/** Every Apple GPU since the A11 has these (Metal feature set tables). */
export const METAL_LIMITS: MetalLimits = { maxThreadgroupBytes: 32768, maxThreadgroupThreads: 1024 };

/** A launch of a declared kernel, as `launch()` of ts/device makes and checks it. */
export interface DeclaredLaunch<Bound extends BoundBuffer = BoundBuffer> {
  readonly kernel: AnyKernel;
  readonly bindings: readonly (Bound | null)[];
  readonly constants: readonly number[];
  readonly params: StructValue<StructFields>;
}

/** A launch as a Metal device is given it. */
export interface PreparedLaunch<Bound extends BoundBuffer = BoundBuffer> {
  readonly kernel: AnyMetalKernel;
  /** The function's name in the library of {@link AnyMetalKernel.source}. */
  readonly entry: string;
  /** Function constants: index, type (see {@link CONSTANT_TYPES}) and value, three little-endian words each. */
  readonly constants: Uint8Array;
  readonly geometry: Required<LaunchGeometry>;
  /** The parameter struct, bound at argument `paramsIndex`; a whole number of words. */
  readonly params: Uint8Array;
  readonly paramsIndex: number;
  readonly buffers: readonly { readonly index: number; readonly binding: Bound }[];
}

/**
 * Turn a launch of a declared Metal kernel into what a device is given; null when the problem is empty, so that there
 * is nothing to launch.
 * @throws ERR_KERNEL_UNKNOWN for a kernel that is not Metal's or has no function for these constants;
 * ERR_KERNEL_LAUNCH for constants, parameters or alignments that are wrong, and for what exceeds the device's limits.
 */
export function prepareLaunch<Bound extends BoundBuffer>(
  launch: DeclaredLaunch<Bound>,
  limits: MetalLimits = METAL_LIMITS,
): PreparedLaunch<Bound> | null {
  const { kernel, params } = launch;
  if (!isMetalKernel(kernel)) {
    throw new TilewrightError('ERR_KERNEL_UNKNOWN', `${kernel.name} is no Metal kernel.`, {
      details: { kernel: kernel.name },
    });
  }
  const constants = checkedConstants(kernel, launch.constants);
  const problem = paramsProblem(kernel, params) ?? kernel.refuse(params, constants);
  if (problem !== null) failLaunch(kernel, problem);
  checkPresence(kernel, constants, launch.bindings);
  checkAlignment(kernel, kernel.alignment(params, constants), launch.bindings);
  const geometry = kernel.geometry(params, constants);
  if (geometry.threadgroups.includes(0)) return null;
  const bytes = new Uint8Array(Math.ceil(kernel.params.byteLength / 4) * 4);
  kernel.params.encode(params, new DataView(bytes.buffer), 0);
  return {
    kernel,
    entry: entryOf(kernel, constants),
    constants: encodeConstants(kernel, launch.constants),
    geometry: checkGeometry(kernel.name, geometry, limits),
    params: bytes,
    paramsIndex: kernel.bufferNames.length,
    buffers: launch.bindings.flatMap((binding, index) => (binding === null ? [] : [{ index, binding }])),
  };
}

function entryOf(kernel: AnyMetalKernel, constants: Readonly<Record<string, number>>): string {
  try {
    return kernel.entry(constants);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new TilewrightError(
      'ERR_KERNEL_UNKNOWN',
      `${kernel.name} has no function for these constants: ${cause.message}.`,
      {
        details: { kernel: kernel.name, constants },
        cause,
      },
    );
  }
}

const isSwitch = (constant: string) => constant.startsWith('has_');

function checkedConstants(kernel: AnyMetalKernel, values: readonly number[]): Record<string, number> {
  const constants = namedConstants(kernel, values);
  for (const [name, value] of Object.entries(constants)) {
    const choices = isSwitch(name) ? [0, 1] : kernel.choices[name];
    if (choices === undefined || choices.includes(value)) continue;
    const range = isSwitch(name) ? '0 or 1' : `one of ${choices.join(', ')}`;
    failLaunch(kernel, `its constant "${name}" is ${range}, not ${value}`, { constant: name, value });
  }
  return constants;
}

/** An optional buffer is bound exactly when its constant says so: the shader has no such argument otherwise. */
function checkPresence(
  kernel: AnyMetalKernel,
  constants: Readonly<Record<string, number>>,
  bindings: readonly (BoundBuffer | null)[],
) {
  kernel.bufferNames.forEach((name, i) => {
    if (kernel.buffers[name]!.optional !== true) return;
    const bound = bindings[i] !== null && bindings[i] !== undefined;
    if (bound === (constants[`has_${name}`] === 1)) return;
    failLaunch(
      kernel,
      `buffer "${name}" is ${bound ? 'bound, but "has_' : 'not bound, but "has_'}${name}" is ${bound ? 0 : 1}`,
      {
        buffer: name,
      },
    );
  });
}

function checkAlignment(
  kernel: AnyMetalKernel,
  alignment: Readonly<Partial<Record<string, number>>>,
  bindings: readonly (BoundBuffer | null)[],
) {
  kernel.bufferNames.forEach((name, i) => {
    const unit = alignment[name] ?? 1;
    const offset = bindings[i]?.byteOffset ?? 0;
    if (offset % unit === 0) return;
    failLaunch(kernel, `buffer "${name}" is bound at byte ${offset}, which is no multiple of ${unit}`, {
      ...{ buffer: name, offset, alignment: unit },
    });
  });
}

function encodeConstants(kernel: AnyMetalKernel, values: readonly number[]): Uint8Array {
  const own = kernel.ownConstants ?? [];
  const view = new DataView(new ArrayBuffer(12 * (kernel.constants.length + own.length)));
  kernel.constants.forEach((name, i) => {
    view.setUint32(12 * i, i, true);
    view.setUint32(12 * i + 4, isSwitch(name) ? CONSTANT_TYPES.bool : CONSTANT_TYPES.uint, true);
    view.setUint32(12 * i + 8, values[i]!, true);
  });
  own.forEach(({ index, type, value }, i) => {
    const at = 12 * (kernel.constants.length + i);
    view.setUint32(at, index, true);
    view.setUint32(at + 4, CONSTANT_TYPES[type], true);
    if (type === 'float') view.setFloat32(at + 8, Number(value), true);
    else if (type === 'int') view.setInt32(at + 8, Number(value), true);
    else view.setUint32(at + 8, Number(value), true);
  });
  return new Uint8Array(view.buffer);
}

/** Metal takes lengths of threadgroup memory in multiples of this. */
const THREADGROUP_MEMORY_UNIT = 16;

/**
 * A grid as a device takes it; whoever makes one by hand calls this too. The grid of an empty problem is no grid: do
 * not launch it.
 * @throws ERR_KERNEL_LAUNCH
 */
export function checkGeometry(
  name: string,
  geometry: LaunchGeometry,
  limits: MetalLimits = METAL_LIMITS,
): Required<LaunchGeometry> {
  const { threadgroups, threads, threadgroupBytes = [] } = geometry;
  const counts = (triple: Triple) =>
    triple.length === 3 && triple.every((n) => Number.isInteger(n) && n > 0 && n < 2 ** 32);
  const details = { threadgroups, threads, threadgroupBytes };
  const text = (triple: Triple) => `[${triple.join(', ')}]`;
  if (!counts(threadgroups))
    failLaunch({ name }, `its grid is empty or too large: ${text(threadgroups)} threadgroups`, details);
  if (!counts(threads)) failLaunch({ name }, `a threadgroup of ${text(threads)} threads is none`, details);
  const total = threads[0] * threads[1] * threads[2];
  if (total > limits.maxThreadgroupThreads) {
    failLaunch(
      { name },
      `its threadgroups have ${total} threads; the device's limit is ${limits.maxThreadgroupThreads}`,
      details,
    );
  }
  const lengths = threadgroupBytes.map((bytes) => Math.ceil(bytes / THREADGROUP_MEMORY_UNIT) * THREADGROUP_MEMORY_UNIT);
  const memory = lengths.reduce((sum, bytes) => sum + bytes, 0);
  // Written so that NaN, too, is refused.
  if (!(memory <= limits.maxThreadgroupBytes && lengths.every((bytes) => bytes > 0))) {
    failLaunch(
      { name },
      `it asks for ${memory} bytes of threadgroup memory (${threadgroupBytes.join(' + ')}); each length is positive, ` +
        `and the device's limit is ${limits.maxThreadgroupBytes}`,
      details,
    );
  }
  return { threadgroups, threads, threadgroupBytes: lengths };
}
