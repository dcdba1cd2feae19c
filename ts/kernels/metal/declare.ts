import {
  type AnyKernel,
  type BufferUses,
  type ByteRange,
  type Constants,
  declareKernel,
  type KernelDeclaration,
  type LaunchGeometry,
} from '../declare.ts';
import type { StructFields, StructValue } from '../struct.ts';

/**
 * A Metal kernel: a declaration with its grid and with the function that runs it. The shader's arguments and function
 * constants are written by `npm run generate` to `metal/generated`, so the two sides cannot differ:
 *
 * - buffer `i` of `bufferNames` is `[[buffer(i)]]`, the parameters are `[[buffer(bufferNames.length)]]`;
 * - constant `i` of `constants` is `[[function_constant(i)]]`, a `bool` when its name begins with `has_`, else a `uint`;
 *   an optional buffer `x` exists when the constant `has_x` is true.
 */
export interface MetalKernel<
  B extends BufferUses = BufferUses,
  C extends string = string,
  P extends StructFields = StructFields,
> extends KernelDeclaration<B, C, P> {
  /** File in `metal/`; for a kernel that brings its own text, the name that compilers' messages show. */
  readonly source: string;
  /** The source itself, of a kernel that is not the package's; it may include the headers of `metal/`. */
  readonly text?: string;
  /** Function constants of such a kernel beyond {@link constants}. */
  readonly ownConstants?: readonly FunctionConstant[];
  /** Host name of the function for these constants; a RangeError says when there is none. */
  readonly entry: (constants: Constants<C>) => string;
  readonly geometry: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
  /** Why the kernel must not run with these parameters; null when it may. */
  readonly refuse: (params: StructValue<P>, constants: Constants<C>) => string | null;
  /** What the byte offset of each buffer has to be a multiple of. */
  readonly alignment: (params: StructValue<P>, constants: Constants<C>) => Alignment<B>;
  /** The values of constants that have only a few, beyond what `refuse` says. */
  readonly choices: Readonly<Partial<Record<C, readonly number[]>>>;
}

/** Types of function constants, by the numbers that a device is given. */
export const CONSTANT_TYPES = { bool: 0, uint: 1, int: 2, float: 3 } as const;

/** A function constant of a kernel that is not the package's. */
export interface FunctionConstant {
  /** From {@link FIRST_OWN_CONSTANT} on; those below are the package's. */
  readonly index: number;
  readonly type: keyof typeof CONSTANT_TYPES;
  readonly value: number | boolean;
}
export const FIRST_OWN_CONSTANT = 32;

export type Alignment<B extends BufferUses> = Readonly<Partial<Record<keyof B, number>>>;

export type AnyMetalKernel = MetalKernel<BufferUses, string, StructFields>;

export function declareMetalKernel<
  const B extends BufferUses,
  const C extends string,
  const P extends StructFields,
>(spec: {
  id: number;
  name: string;
  doc: string;
  source: string;
  text?: string;
  ownConstants?: readonly FunctionConstant[];
  entry: (constants: Constants<C>) => string;
  buffers: B;
  constants: readonly C[];
  paramsName: string;
  params: P;
  extents: (params: StructValue<P>, constants: Constants<C>) => Partial<Record<keyof B, ByteRange>>;
  geometry: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
  refuse?: (params: StructValue<P>, constants: Constants<C>) => string | null;
  alignment: (params: StructValue<P>, constants: Constants<C>) => Alignment<B>;
  choices?: Readonly<Partial<Record<C, readonly number[]>>>;
}): MetalKernel<B, C, P> {
  const { source, text, ownConstants, entry, geometry, refuse = () => null, alignment, choices = NONE, ...rest } = spec;
  const brought = { ...(text !== undefined && { text }), ...(ownConstants !== undefined && { ownConstants }) };
  const own = { source, ...brought, entry, geometry, refuse, alignment, choices };
  const kernel: MetalKernel<B, C, P> = Object.freeze({ ...declareKernel(rest), ...own });
  declared.add(kernel);
  return kernel;
}

const NONE: Readonly<Partial<Record<string, readonly number[]>>> = {};
const declared = new WeakSet<object>();
export const isMetalKernel = (kernel: AnyKernel): kernel is AnyMetalKernel => declared.has(kernel);

/** Lanes of a simdgroup on every Apple GPU. */
export const SIMD = 32;
/** Elements of the largest index that kernels keep in 32 bits. */
export const MAX_INT = 2 ** 31 - 1;

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const product = (sizes: readonly number[]): number => sizes.reduce((x, y) => x * y, 1);
