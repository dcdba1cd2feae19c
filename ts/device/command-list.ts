import { checkBindings, extentsOf } from '../kernels/check.ts';
import type { AnyKernel, BufferUses, Constants, KernelDeclaration } from '../kernels/declare.ts';
import type { StructFields, StructValue } from '../kernels/struct.ts';
import type { DeviceBuffer } from './buffer.ts';

/** A buffer as a launch sees it: the kernel's element 0 is `byteOffset` bytes in. */
export interface Binding {
  readonly buffer: DeviceBuffer;
  readonly byteOffset: number;
}

/** One kernel launch, as plain data. Make it with {@link launch}, which checks it. */
export interface Launch {
  readonly type: 'kernel';
  readonly kernel: AnyKernel;
  /** In declaration order; null where an optional buffer was left out. */
  readonly bindings: readonly (Binding | null)[];
  /** In declaration order. */
  readonly constants: readonly number[];
  readonly params: StructValue<StructFields>;
  readonly label: string;
}

/** Commands that a host step makes when its turn comes. They run in its place; then it is disposed. */
export interface MadeCommands extends Disposable {
  readonly commands: readonly Command[];
}

/**
 * A step that runs on the JavaScript thread, between launches: how plug-in kernels of the CPU back end work. What depends
 * on results of the device (which rows go to which expert) it reads there, and returns the commands that follow from it.
 */
export interface HostStep {
  readonly type: 'host';
  readonly run: () => void | MadeCommands | Promise<void> | Promise<MadeCommands>;
  readonly label: string;
}

export type Command = Launch | HostStep;

type Bindings<B extends BufferUses> = {
  readonly [K in keyof B as B[K] extends { readonly optional: true } ? never : K]: Binding;
} & {
  readonly [K in keyof B as B[K] extends { readonly optional: true } ? K : never]?: Binding | undefined;
};

/**
 * Describe one launch of `kernel`.
 * @throws ERR_KERNEL_LAUNCH if a buffer is missing, ERR_OUT_OF_BOUNDS if the kernel would touch memory outside one,
 * ERR_INVALID_ARGUMENT if it would write to a read-only one.
 */
export function launch<const B extends BufferUses, C extends string, P extends StructFields>(
  kernel: KernelDeclaration<B, C, P>,
  spec: {
    readonly buffers: Bindings<B>;
    readonly constants: Constants<C>;
    readonly params: StructValue<P>;
    readonly label?: string | undefined;
  },
): Launch {
  const bound = spec.buffers as Readonly<Record<string, Binding | undefined>>;
  const bindings = checkBindings(kernel, bound, extentsOf(kernel, spec.params, spec.constants));
  return {
    type: 'kernel',
    kernel: kernel as unknown as AnyKernel,
    bindings,
    constants: kernel.constants.map((name) => spec.constants[name]),
    params: spec.params as StructValue<StructFields>,
    label: spec.label ?? kernel.name,
  };
}

/** An array of commands that a device runs in order, in one submit. Building one does no work on the device. */
export class CommandList {
  readonly #commands: Command[] = [];

  get commands(): readonly Command[] {
    return this.#commands;
  }
  get length(): number {
    return this.#commands.length;
  }

  add(...commands: readonly Command[]): this {
    this.#commands.push(...commands);
    return this;
  }
}
