import {
  type BufferUses,
  type ByteRange,
  type Constants,
  declareKernel,
  type KernelDeclaration,
  type LaunchGeometry,
} from '../declare.ts';
import type { StructFields, StructValue } from '../struct.ts';

/**
 * A HIP kernel: a declaration with its grid and with the symbol that runs it. The parameter list is written by
 * `npm run generate` to `hip/generated`, so the two sides cannot differ: a pointer per buffer in the order of
 * `bufferNames` (null where an optional buffer is left out), then the parameter struct by value. Constants choose the
 * instance, by its symbol; what may change at run time is a parameter.
 */
export interface HipKernel<
  B extends BufferUses = BufferUses,
  C extends string = string,
  P extends StructFields = StructFields,
> extends KernelDeclaration<B, C, P> {
  /** File in `hip/`, and for files that are compiled once per weight format, which one. */
  readonly source: string;
  readonly format: (constants: Constants<C>) => string | null;
  /** Whether a target, as LLVM names it, has the kernel at all. */
  readonly runsOn: (target: string) => boolean;
  /** Symbol of the instance for these constants; a RangeError says when there is none. */
  readonly entry: (constants: Constants<C>) => string;
  /** The grid, in workgroups and threads: it depends on the wave size where the constants say so (`wave`). */
  readonly geometry: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
  /** Why the kernel must not run with these parameters; null when it may. */
  readonly refuse: (params: StructValue<P>, constants: Constants<C>) => string | null;
}

export type AnyHipKernel = HipKernel<BufferUses, string, StructFields>;

export function declareHipKernel<
  const B extends BufferUses,
  const C extends string,
  const P extends StructFields,
>(spec: {
  id: number;
  name: string;
  doc: string;
  source: string;
  format?: (constants: Constants<C>) => string | null;
  runsOn?: (target: string) => boolean;
  entry: (constants: Constants<C>) => string;
  buffers: B;
  constants: readonly C[];
  paramsName: string;
  params: P;
  extents: (params: StructValue<P>, constants: Constants<C>) => Partial<Record<keyof B, ByteRange>>;
  geometry: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
  refuse?: (params: StructValue<P>, constants: Constants<C>) => string | null;
}): HipKernel<B, C, P> {
  const { source, format = () => null, runsOn = () => true, entry, geometry, refuse = () => null, ...rest } = spec;
  return Object.freeze({ ...declareKernel(rest), source, format, runsOn, entry, geometry, refuse });
}

/** Macros that choose the format of a file which is compiled once per format: -DTW_FORMAT=Q4_K -DTW_FORMAT_NAME=q4_k. */
export const formatDefines = (format: string | null): readonly string[] =>
  format === null ? [] : [`TW_FORMAT=${format.toUpperCase()}`, `TW_FORMAT_NAME=${format}`];

/** Elements of the largest index that kernels keep in 32 bits. */
export const MAX_INT = 2 ** 31 - 1;

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
export const product = (sizes: readonly number[]): number => sizes.reduce((x, y) => x * y, 1);
