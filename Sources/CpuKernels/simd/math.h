// Vector exp, sigmoid and tanh. Errors are against float64 over every finite float of the range (see dense_test.cpp,
// which repeats the measurement on a sample); `generic` rounds a fused multiply-add twice and is a little worse.
//
//             with FMA   generic
//   exp       1.0 ulp    1.4 ulp     gradual underflow, inf above 88.72, 0 below -103.97, NaN stays NaN
//   sigmoid   2.6 ulp    2.9 ulp     for x > -87; below, the result is subnormal or 0, within 1.2e-38
//   tanh      1.9 ulp    2.4 ulp
#pragma once

#include "f32.h"

namespace tw {
namespace TW_ISA {
namespace {

/// e^x = 2^n * e^r with n = round(x / ln 2) and |r| <= ln 2 / 2; e^r = 1 + r + r^2 q(r), q minimax of degree 4
/// (relative error 3.1e-9). ln 2 is split so that n times its head is exact.
inline F32 exp(F32 x) {
  const F32 magic = splat(0x1.8p23f);
  const F32 bounded = min(splat(89.0f), max(splat(-104.0f), x));
  const F32 n = fma(bounded, splat(1.44269504f), magic) - magic;
  const F32 r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), bounded));
  F32 q = splat(1.38143207e-3f);
  q = fma(q, r, splat(8.36885107e-3f));
  q = fma(q, r, splat(4.16684011e-2f));
  q = fma(q, r, splat(1.66665195e-1f));
  q = fma(q, r, splat(4.99999934e-1f));
  return scale_by_exponent(fma(q, r * r, r) + 1.0f, n);
}

inline F32 sigmoid(F32 x) {
  return 1.0f / (1.0f + exp(-x));
}

/// Odd minimax polynomial near 0 (where 1 - 2 / (e^2x + 1) would cancel), the exponential beyond.
inline F32 tanh(F32 x) {
  const F32 size = abs(x);
  const F32 square = x * x;
  F32 p = splat(-5.70468910e-3f);
  p = fma(p, square, splat(2.06388091e-2f));
  p = fma(p, square, splat(-5.37396261e-2f));
  p = fma(p, square, splat(1.33314411e-1f));
  p = fma(p, square, splat(-3.33332819e-1f));
  const F32 near = fma(p * square, x, x);
  const F32 far = 1.0f - 2.0f / (exp(size + size) + 1.0f);
  const I32 sign = bits_of(x) & INT32_MIN;
  return size < 0.625f ? near : from_bits(bits_of(far) | sign);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
