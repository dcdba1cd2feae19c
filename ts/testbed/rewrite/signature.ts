import type { Place } from './tokens.ts';

/** What a kernel file offers: enough for a host to bind and launch every kernel of it. */
export interface ModuleSignature {
  readonly dialect: 'msl' | 'hip';
  readonly kernels: readonly KernelSignature[];
  readonly constants: readonly FunctionConstant[];
}

export interface KernelSignature extends Place {
  /** The name that a host asks for: `[[host_name]]` or the function's. */
  readonly name: string;
  /** The C++ expression of the function, `gemv<half, 4>`. */
  readonly expression: string;
  readonly symbol: string;
  readonly parameters: readonly KernelParameter[];
  /** `[[max_total_threads_per_threadgroup(n)]]` or `__launch_bounds__(n)`. */
  readonly maxThreads?: number;
}

export type AddressSpace = 'device' | 'constant' | 'threadgroup';

export interface KernelParameter extends Place {
  readonly name: string;
  readonly type: string;
  readonly kind: 'buffer' | 'threadgroup' | 'builtin' | 'value';
  readonly space?: AddressSpace;
  /** Buffer or threadgroup index. */
  readonly index?: number;
  readonly builtin?: string;
  /** The pointee is const: the kernel cannot write it. */
  readonly readOnly?: boolean;
  /** Name of the function constant that decides whether the argument exists. */
  readonly condition?: string;
}

export interface FunctionConstant extends Place {
  readonly name: string;
  readonly id: number;
  readonly type: string;
  readonly bytes: number;
}

/** Something wrong in a kernel file or in a run of it. */
export interface Finding extends Place {
  readonly rule: string;
  readonly message: string;
  readonly column?: number;
  readonly kernel?: string;
}

/** Ids of the builtin arguments, as in Sources/Simt/shim/simt_calls.h. Those from 16 on are scalars. */
export const BUILTINS: Readonly<Record<string, number>> = {
  thread_position_in_grid: 0,
  thread_position_in_threadgroup: 1,
  threadgroup_position_in_grid: 2,
  threads_per_threadgroup: 3,
  threadgroups_per_grid: 4,
  threads_per_grid: 5,
  dispatch_threads_per_threadgroup: 6,
  grid_origin: 7,
  thread_index_in_threadgroup: 16,
  thread_index_in_simdgroup: 17,
  simdgroup_index_in_threadgroup: 18,
  simdgroups_per_threadgroup: 19,
  threads_per_simdgroup: 20,
  thread_execution_width: 20,
  thread_index_in_quadgroup: 21,
  quadgroup_index_in_threadgroup: 22,
};

const SCALAR_BYTES: Readonly<Record<string, number>> = {
  bool: 1,
  char: 1,
  uchar: 1,
  int8_t: 1,
  uint8_t: 1,
  short: 2,
  ushort: 2,
  int16_t: 2,
  uint16_t: 2,
  half: 2,
  bfloat: 2,
  int: 4,
  uint: 4,
  int32_t: 4,
  uint32_t: 4,
  float: 4,
  long: 8,
  ulong: 8,
  int64_t: 8,
  uint64_t: 8,
  size_t: 8,
};

/** Bytes of a scalar or vector type that a function constant may have (MSL section 5.8.1); undefined for others. */
export function constantBytes(type: string): number | undefined {
  const match = /^(?:unsigned )?([a-z]\w*?)([234])?$/.exec(type);
  const scalar = match === null ? undefined : (SCALAR_BYTES[match[0]] ?? SCALAR_BYTES[match[1]!]);
  if (scalar === undefined) return undefined;
  return match![2] === undefined || SCALAR_BYTES[match![0]] !== undefined
    ? scalar
    : scalar * (match![2] === '3' ? 4 : Number(match![2]));
}
