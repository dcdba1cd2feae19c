// One vector type for every instruction set: F32 holds kLanes floats, I32 as many 32-bit integers. Both are compiler
// vectors, so + - * / & | << >> and comparisons are written as such; what needs an instruction of its own is a function
// here, one header per instruction set. Nothing here reads or writes outside the elements it names.
//
// A header of an instruction set defines kLanes, F32, I32 and
//   load, load_n, store, store_n                 f32; the _n forms touch the first n elements, 0 <= n <= kLanes
//   load_f16, load_bf16, load_i8, load_u8, load_i32 and store_f16, store_bf16
//   widen_u8, widen_i8                           kLanes bytes to I32
//   to_f32, fma, max, min                        max and min give b when a is NaN; fma may round twice (generic)
//   scale_by_exponent(p, n)                      p * 2^n with one rounding, n a whole number in [-160, 160]
//   reduce_add, reduce_max
#pragma once

#include <stdint.h>
#include <string.h>

#include "../formats/half.h"

#if defined(__AVX512F__)
#include "f32_avx512.h"
#elif defined(__AVX2__)
#include "f32_avx2.h"
#elif defined(TW_NEON)
#include "f32_neon.h"
#else
#include "f32_generic.h"
#endif

namespace tw {
namespace TW_ISA {
namespace {

inline F32 splat(float x) {
  return x - F32{};  // not +: that would turn -0 into 0
}

inline I32 splat_i(int32_t x) {
  return x - I32{};
}

inline I32 bits_of(F32 x) {
  return (I32)x;
}

inline F32 from_bits(I32 x) {
  return (F32)x;
}

inline F32 abs(F32 x) {
  return from_bits(bits_of(x) & 0x7fffffff);
}

inline int64_t min_of(int64_t a, int64_t b) {
  return a < b ? a : b;
}

inline int64_t max_of(int64_t a, int64_t b) {
  return a < b ? b : a;
}

inline int64_t round_up(int64_t x, int64_t step) {
  return (x + step - 1) / step * step;
}

inline int64_t ceil_div(int64_t x, int64_t step) {
  return (x + step - 1) / step;
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
