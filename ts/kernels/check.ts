import { TilewrightError } from '../errors.ts';
import type { BufferUses, ByteRange, Constants, KernelDeclaration } from './declare.ts';
import type { StructFields, StructValue } from './struct.ts';

/** A buffer as a launch sees it, whatever memory it is: the kernel's element 0 is `byteOffset` bytes in. */
export interface BoundBuffer {
  readonly buffer: { readonly byteLength: number; readonly readOnly: boolean };
  readonly byteOffset: number;
}

/**
 * The buffers of a launch in declaration order, null where an optional one was left out.
 * @throws ERR_KERNEL_LAUNCH if a buffer is missing, ERR_OUT_OF_BOUNDS if the kernel would touch memory outside one,
 * ERR_INVALID_ARGUMENT if it would write to a read-only one.
 */
export function checkBindings<
  Bound extends BoundBuffer,
  B extends BufferUses,
  C extends string,
  P extends StructFields,
>(
  kernel: KernelDeclaration<B, C, P>,
  bound: Readonly<Record<string, Bound | null | undefined>>,
  extents: Partial<Record<keyof B, ByteRange>>,
): (Bound | null)[] {
  return kernel.bufferNames.map((name) => {
    const binding = bound[name];
    const use = kernel.buffers[name]!;
    if (binding === undefined || binding === null) {
      if (use.optional) return null;
      throw new TilewrightError('ERR_KERNEL_LAUNCH', `Kernel ${kernel.name} needs its buffer "${name}".`, {
        details: { kernel: kernel.name, buffer: name },
      });
    }
    if (use.access !== 'read' && binding.buffer.readOnly) {
      throw new TilewrightError(
        'ERR_INVALID_ARGUMENT',
        `Kernel ${kernel.name} writes to "${name}", but that is a mapped file, which is read-only.`,
        { details: { kernel: kernel.name, buffer: name } },
      );
    }
    checkExtent(kernel.name, name, binding, extents[name]);
    return binding;
  });
}

function checkExtent(kernel: string, name: string, binding: BoundBuffer, extent: ByteRange | undefined) {
  if (extent === undefined || extent.from === extent.to) return;
  const from = binding.byteOffset + extent.from;
  const to = binding.byteOffset + extent.to;
  // Written so that NaN, too, is refused.
  if (from >= 0 && to <= binding.buffer.byteLength) return;
  throw new TilewrightError(
    'ERR_OUT_OF_BOUNDS',
    `Kernel ${kernel} would touch bytes ${from} to ${to} of buffer "${name}", which has ${binding.buffer.byteLength}. ` +
      'Check shape, strides and offset.',
    { details: { kernel, buffer: name, from, to, byteLength: binding.buffer.byteLength } },
  );
}

/** The bytes that a launch touches; a dtype or format that nobody knows is an ERR_KERNEL_LAUNCH. */
export function extentsOf<B extends BufferUses, C extends string, P extends StructFields>(
  kernel: KernelDeclaration<B, C, P>,
  params: StructValue<P>,
  constants: Constants<C>,
): Partial<Record<keyof B, ByteRange>> {
  try {
    return kernel.extents(params, constants);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new TilewrightError('ERR_KERNEL_LAUNCH', `Kernel ${kernel.name} cannot be launched: ${cause.message}.`, {
      details: { kernel: kernel.name },
      cause,
    });
  }
}

/** What is wrong with the fields of a parameter struct, as a sentence's part; null when they can be encoded. */
export function paramsProblem<P extends StructFields>(
  kernel: Pick<KernelDeclaration<BufferUses, string, P>, 'params'>,
  params: StructValue<P>,
): string | null {
  const values = params as Readonly<Record<string, unknown>>;
  for (const { name, scalar, length } of kernel.params.fields) {
    const value = values[name];
    if (length === 0 ? typeof value !== 'number' : !Array.isArray(value) || value.length > length) {
      return `its parameter "${name}" is ${length === 0 ? 'a number' : `up to ${length} numbers`}`;
    }
    if (scalar === 'f32') continue;
    const [low, high] = RANGES[scalar];
    for (const entry of length === 0 ? [value as number] : (value as readonly number[])) {
      if (Number.isSafeInteger(entry) && entry >= low && entry <= high) continue;
      return `its parameter "${name}" is no ${scalar}: ${String(entry)}`;
    }
  }
  return null;
}

const RANGES = {
  i64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  u32: [0, 2 ** 32 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
} as const;

/** @throws ERR_KERNEL_LAUNCH */
export function failLaunch(
  kernel: { readonly name: string },
  problem: string,
  details: Record<string, unknown> = {},
): never {
  throw new TilewrightError('ERR_KERNEL_LAUNCH', `Kernel ${kernel.name} cannot be launched: ${problem}.`, {
    details: { kernel: kernel.name, ...details },
  });
}

/** The constants of a launch by name. @throws ERR_KERNEL_LAUNCH unless each is an unsigned 32-bit number */
export function namedConstants(
  kernel: { readonly name: string; readonly constants: readonly string[] },
  values: readonly number[],
): Record<string, number> {
  const named: Record<string, number> = {};
  kernel.constants.forEach((name, i) => {
    const value = values[i];
    if (value === undefined || !Number.isInteger(value) || value < 0 || value >= 2 ** 32) {
      failLaunch(kernel, `its constant "${name}" is an unsigned 32-bit number, not ${String(value)}`, {
        constant: name,
        value,
      });
    }
    named[name] = value;
  });
  return named;
}
