// Scalar conversions between f32 and the 16-bit float types. Kernels have their own; these serve tensor creation.
const floats = new Float32Array(1);
const bits = new Uint32Array(floats.buffer);

/** Bits of the nearest f16, ties to even; overflow gives infinity, NaN stays NaN. */
export function f32ToF16(value: number): number {
  floats[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 puts the rounded value into the low mantissa bits of a float.
    floats[0] = Math.abs(value) + 0.5;
    return sign | (bits[0]! - 0x3f000000);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function f16ToF32(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** Bits of the nearest bf16, ties to even; NaN stays NaN. */
export function f32ToBf16(value: number): number {
  floats[0] = value;
  const word = bits[0]!;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}

export function bf16ToF32(half: number): number {
  bits[0] = half << 16;
  return floats[0]!;
}
