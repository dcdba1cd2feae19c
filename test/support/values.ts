import type { DType } from '../../ts/tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';

/** Unit roundoff of the float dtypes. */
export const EPS: Readonly<Record<'f32' | 'f16' | 'bf16', number>> = { f32: 2 ** -24, f16: 2 ** -11, bf16: 2 ** -8 };

/** A small seeded generator (mulberry32): the same numbers on every machine. */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Uniform floats in [-1, 1). */
export function uniform(count: number, seed: number): Float32Array {
  const next = generator(seed);
  return Float32Array.from({ length: count }, () => next() * 2 - 1);
}

/** The nearest value that the dtype can hold. */
export function rounded(value: number, dtype: DType): number {
  switch (dtype) {
    case 'f32':
      return Math.fround(value);
    case 'f16':
      return f16ToF32(f32ToF16(value));
    case 'bf16':
      return bf16ToF32(f32ToBf16(value));
    case 'i8':
      return Math.max(-128, Math.min(127, Math.round(value * 100))) + 0;
    case 'i32':
      return Math.round(value * 1000) + 0; // + 0: integers have no negative zero
  }
}

/** The typed array from which `device.tensor` makes a tensor of that dtype with these values. */
export function elements(values: Float32Array, dtype: DType) {
  if (dtype === 'i8') return Int8Array.from(values);
  if (dtype === 'i32') return Int32Array.from(values);
  return values;
}
