import { type StructFields, StructLayout, type StructValue } from './struct.ts';

/** How a kernel uses a buffer; an optional one may be left out of a launch. */
export interface BufferUse {
  readonly access: 'read' | 'write' | 'read_write';
  readonly optional?: boolean;
  /** May be memory that the launch also writes, element by element: an operation in place. */
  readonly inPlace?: boolean;
}
export type BufferUses = Readonly<Record<string, BufferUse>>;

/** Half-open byte range, relative to the bound offset, that a launch touches; strides may make `from` negative. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

export type Triple = readonly [number, number, number];

/** The grid of one GPU launch. */
export interface LaunchGeometry {
  readonly threadgroups: Triple;
  /** Threads of a threadgroup. */
  readonly threads: Triple;
  /** Bytes of dynamic threadgroup memory, by argument index. */
  readonly threadgroupBytes?: readonly number[];
}

/** Compile-time choices of a kernel, each an unsigned 32-bit number (a dtype id, a format id, a tile size, a flag). */
export type Constants<C extends string> = Readonly<Record<C, number>>;

/**
 * A kernel, declared once. The C structs (`scripts/generate-abi.ts`), the launch encoder, the bounds check and the
 * profile label all come from here.
 */
export interface KernelDeclaration<
  B extends BufferUses = BufferUses,
  C extends string = string,
  P extends StructFields = StructFields,
> {
  /** Position in the kernel table of every back end; never reused for another kernel. */
  readonly id: number;
  readonly name: string;
  readonly doc: string;
  readonly buffers: B;
  readonly bufferNames: readonly (keyof B & string)[];
  readonly constants: readonly C[];
  /** Name of the C struct that holds the parameters; kernels of one family share it. */
  readonly paramsName: string;
  readonly params: StructLayout<P>;
  /** Bytes that a launch touches in each buffer; checked against the bound buffers before anything runs. */
  readonly extents: (params: StructValue<P>, constants: Constants<C>) => Partial<Record<keyof B, ByteRange>>;
  /** GPU kernels: the grid that covers the problem. The CPU splits its own work and needs none. */
  readonly geometry?: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
}

export type AnyKernel = KernelDeclaration<BufferUses, string, StructFields>;

/** Declare a kernel; list it in `catalogue.ts` and run `npm run generate`. */
export function declareKernel<const B extends BufferUses, const C extends string, const P extends StructFields>(spec: {
  id: number;
  name: string;
  doc: string;
  buffers: B;
  constants: readonly C[];
  paramsName: string;
  params: P;
  extents: (params: StructValue<P>, constants: Constants<C>) => Partial<Record<keyof B, ByteRange>>;
  geometry?: (params: StructValue<P>, constants: Constants<C>) => LaunchGeometry;
}): KernelDeclaration<B, C, P> {
  return Object.freeze({
    ...spec,
    bufferNames: Object.keys(spec.buffers) as (keyof B & string)[],
    params: new StructLayout(spec.params),
  });
}

/**
 * Bytes spanned by a strided array: `sizes[i]` steps of `strides[i]` elements, `elementBytes` per element. Zero-sized
 * arrays touch nothing.
 */
export function stridedRange(sizes: readonly number[], strides: readonly number[], elementBytes: number): ByteRange {
  let from = 0;
  let to = 0;
  for (let i = 0; i < sizes.length; i++) {
    const size = sizes[i]!;
    if (size === 0) return { from: 0, to: 0 };
    const reach = (size - 1) * (strides[i] ?? 0);
    if (reach < 0) from += reach;
    else to += reach;
  }
  return { from: from * elementBytes, to: (to + 1) * elementBytes };
}
