/** Element types of plain (not block-quantized) tensors, by their GGUF names. */
export type DType = 'f32' | 'f16' | 'bf16' | 'i8' | 'i32';

/** What a dtype is made of. `id` is the value that kernels receive (`tw_dtype` in the kernel ABI). */
export interface DTypeInfo {
  readonly name: DType;
  readonly id: number;
  /** Bytes per element. */
  readonly bytes: number;
  /** GGUF's `ggml_type` number. */
  readonly ggufType: number;
  readonly float: boolean;
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  f32: { name: 'f32', id: 0, bytes: 4, ggufType: 0, float: true },
  f16: { name: 'f16', id: 1, bytes: 2, ggufType: 1, float: true },
  bf16: { name: 'bf16', id: 2, bytes: 2, ggufType: 30, float: true },
  i8: { name: 'i8', id: 3, bytes: 1, ggufType: 24, float: false },
  i32: { name: 'i32', id: 4, bytes: 4, ggufType: 26, float: false },
};

export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPES, name);
}
