// Exact scalar conversions between f32 and the narrow float types: f16, bf16 and e8m0.
// Every kernel translation unit includes this, and those are compiled several times with different -m flags. So nothing
// here may have external or weak linkage: the linker could otherwise hand the portable kernel an AVX-512 copy.
#ifndef TILEWRIGHT_FORMATS_HALF_H
#define TILEWRIGHT_FORMATS_HALF_H

#include <stdint.h>
#include <string.h>

namespace tw {
namespace {

static inline uint32_t f32_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static inline float f32_from_bits(uint32_t u) {
  float x;
  memcpy(&x, &u, sizeof x);
  return x;
}

/// IEEE half to float, exact. NaNs keep their payload and become quiet, as vcvtph2ps does.
static inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 31u;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0) return f32_from_bits(sign | f32_bits(static_cast<float>(mantissa) * 0x1p-24f));
  if (exponent == 31) return f32_from_bits(sign | 0x7f800000u | (mantissa << 13) | (mantissa != 0 ? 0x400000u : 0u));
  return f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

/// Float to IEEE half, round to nearest even; 65520 and above give infinity, NaNs stay (quiet) NaNs, as vcvtps2ph does.
static inline uint16_t f32_to_f16(float x) {
  const uint32_t bits = f32_bits(x);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // The floats in [0.5, 1) are 2^-24 apart, which is the spacing of subnormal halves: the addition rounds for us.
    return static_cast<uint16_t>(sign | (f32_bits(f32_from_bits(magnitude) + 0.5f) - 0x3f000000u));
  }
  const uint32_t rebased = magnitude - 0x38000000u;
  return static_cast<uint16_t>(sign | ((rebased + 0xfffu + ((rebased >> 13) & 1u)) >> 13));
}

static inline float bf16_to_f32(uint16_t h) {
  return f32_from_bits(static_cast<uint32_t>(h) << 16);
}

/// Float to bfloat16, round to nearest even; NaNs stay (quiet) NaNs.
static inline uint16_t f32_to_bf16(float x) {
  const uint32_t bits = f32_bits(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Half of the value of an E8M0 exponent, 2^(e - 128): MXFP4's code book is doubled to be whole numbers, its scale is
/// halved. GGUF gives e = 255 (NaN in OCP's specification) no special meaning; neither does this. e < 2 is subnormal.
static inline float e8m0_half_to_f32(uint8_t e) {
  return f32_from_bits(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23);
}

}  // namespace
}  // namespace tw

#endif
