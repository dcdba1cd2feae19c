// What the encoders for super-blocks share: groups whose scales (and mins) are small integers times one half. They work
// in three steps: fit every group on its own, choose the common factor from those fits, then descend on the true error:
// integers near the fitted ones, and the least-squares factor for the codes at hand, in turn, as long as the error
// falls.
#ifndef TILEWRIGHT_FORMATS_ENCODE_SUPER_H
#define TILEWRIGHT_FORMATS_ENCODE_SUPER_H

#include "encode_block.h"

namespace tw {
namespace {

/// The half d for values ≈ d * integer in low..high with the least weighted squares: the peak is put on each integer of
/// the upper half of the range (all of it where halves are subnormal), and every choice is judged after its rounding.
static inline uint16_t common_factor(const float* values, const float* weights, int n, int low, int high) {
  const float max = peak(values, n);
  uint16_t best = 0;
  float least = 0.0f;
  for (int i = 0; i < n; ++i) least += weights[i] * values[i] * values[i];
  const auto consider = [&](int first, int step) {
    uint16_t halves[4];
    f32x4 d;
    for (int lane = 0; lane < 4; ++lane) {
      const int k = first + lane * step;
      halves[lane] = k != 0 ? to_half(max / static_cast<float>(k)) : static_cast<uint16_t>(0);
      d[lane] = f16_to_f32(halves[lane]);
    }
    const f32x4 inverse = inverse_of(d);
    f32x4 cost = splat(0.0f);
    for (int i = 0; i < n; ++i) {
      const f32x4 code = clamp4(splat(values[i]) * inverse, static_cast<float>(low), static_cast<float>(high));
      const f32x4 miss = splat(values[i]) - d * round4(code);
      cost += splat(weights[i]) * (miss * miss);
    }
    const int lane = least_lane(cost, 0.0f);
    if (!(cost[lane] < least)) return;
    best = halves[lane];
    least = cost[lane];
  };
  const bool coarse = magnitude(max) < 0x1p-14f * static_cast<float>(high);
  for (int k = high; k > (coarse ? 0 : high / 2); k -= 4) consider(k, -1);
  for (int k = low; k < (coarse ? 0 : low / 2); k += 4) consider(k, 1);
  return best;
}

/// While the common factors cost less than this over the free fits' error, no other starting point is tried.
static constexpr float kRoundingShare = 1.05f;

/// From here on the weights are not what the bits are for: all of one magnitude, or on a lattice, or nearly all 0. The
/// common factors then make the error, and every multiple of a group's scale is tried for it, slowly.
static constexpr float kLatticeShare = 2.0f;

/// Whether all weights are 0 or of one magnitude (constants, ternary weights), and how many are below, at and above 0.
struct Magnitude {
  bool only;
  float size;
  float counts[3];

  template <class Book>
  float error(float scale, float offset) const {
    const f32x4 values = f32x4{-size, 0.0f, size, 0.0f} - splat(offset);
    const f32x4 r = values - splat(scale) * Book::nearest(values * inverse_of(splat(scale)));
    return r[0] * r[0] * counts[0] + r[1] * r[1] * counts[1] + r[2] * r[2] * counts[2];
  }
};

static inline Magnitude magnitude_of(const float* x, int n) {
  Magnitude values = {true, magnitude(peak(x, n)), {0.0f, 0.0f, 0.0f}};
  for (int i = 0; i < n; ++i) {
    values.only = values.only && (x[i] == 0.0f || magnitude(x[i]) == values.size);
    values.counts[x[i] == 0.0f ? 1 : x[i] < 0.0f ? 0 : 2] += 1.0f;
  }
  return values;
}

/// Four integers around a value, none of them outside of low..high.
static inline f32x4 integers_around(float value, int low, int high) {
  const float below = floorf(value < static_cast<float>(low) ? static_cast<float>(low) : value);
  return clamp4(splat(below) + f32x4{-1.0f, 0.0f, 1.0f, 2.0f}, static_cast<float>(low), static_cast<float>(high));
}

static inline f32x4 integers_from(int first, int high) {
  return clamp4(splat(static_cast<float>(first)) + f32x4{0.0f, 1.0f, 2.0f, 3.0f}, static_cast<float>(first),
                static_cast<float>(high));
}

/// The codes of a super-block whose scales are chosen, in weight order, less their zero point.
template <class F, class Book>
static inline void super_codes(const float* x, const typename F::Block& block, int8_t* q) {
  int8_t unused[F::kBlock];
  float scale[F::kBlock / F::kGroup];
  float min[F::kBlock / F::kGroup] = {};
  F::codes(block, unused, scale, min);
  for (int g = 0; g < F::kBlock / F::kGroup; ++g)
    quantize_codes<Book>(x + g * F::kGroup, F::kGroup, scale[g], F::kHasMin ? -min[g] : 0.0f, q + g * F::kGroup);
}

}  // namespace
}  // namespace tw

#endif
