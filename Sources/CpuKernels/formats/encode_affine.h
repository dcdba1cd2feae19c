// The encoder for super-blocks of scales and mins: w = d * scale * code - dmin * min (Q2_K, Q4_K, Q5_K).
#ifndef TILEWRIGHT_FORMATS_ENCODE_AFFINE_H
#define TILEWRIGHT_FORMATS_ENCODE_AFFINE_H

#include "encode_super.h"

namespace tw {
namespace {

template <int kCount>
struct SuperAffine {
  uint16_t d, dmin;
  uint8_t scale[kCount], min[kCount];
  float error;
};

/// The offsets for other scales than the fitted one: the middle of the codes stays where it was, then two steps of
/// least squares.
template <class Book>
static inline f32x4 fit_offsets(const float* x, int n, const Fit& fit, f32x4 scale) {
  f32x4 offset = splat(fit.offset) + splat(0.5f * Book::kHigh) * (splat(fit.scale) - scale);
  for (int i = 0; i < 2; ++i) offset += measure<Book>(x, n, scale, offset).r / splat(static_cast<float>(n));
  return offset;
}

/// Descends on the error of x ≈ d * scale * q - dmin * min, scale and min in 0..kScaleHigh, q in 0..kHighest, from
/// group fits whose offsets have the given sign or are 0; keeps `best` if lower. A wide descent tries every
/// larger scale for every group.
template <int kHighest, int kGroup, int kCount, int kScaleHigh>
static inline void descend_affine(const float* x, const Fit* fits, float sign, bool wide, SuperAffine<kCount>& best) {
  using Book = Uniform<0, kHighest>;
  constexpr float kSize = static_cast<float>(kGroup);
  float scales[kCount];
  float weights[kCount];
  for (int g = 0; g < kCount; ++g) {
    scales[g] = fits[g].scale;
    weights[g] = fits[g].spread;
  }
  uint16_t d = common_factor(scales, weights, kCount, 0, kScaleHigh);

  // With the scales rounded to multiples of d, the offsets have new best values.
  float mins[kCount];
  for (int g = 0; g < kCount; ++g) {
    const float factor = f16_to_f32(d);
    const f32x4 code = clamp4(splat(scales[g]) * inverse_of(splat(factor)), 0.0f, static_cast<float>(kScaleHigh));
    const float offset = fit_offsets<Book>(x + g * kGroup, kGroup, fits[g], splat(factor) * round4(code))[0];
    mins[g] = offset * sign > 0.0f ? magnitude(offset) : 0.0f;
    weights[g] = kSize;
  }
  uint16_t dmin = common_factor(mins, weights, kCount, 0, kScaleHigh);

  float last = -1.0f;
  for (int round = 0; round < 3; ++round) {
    const float factor = f16_to_f32(d);
    const float min_factor = f16_to_f32(dmin);
    SuperAffine<kCount> now = {d, static_cast<uint16_t>(sign > 0.0f && dmin != 0 ? dmin | 0x8000 : dmin), {}, {}, 0.0f};
    float aa = 0.0f, ab = 0.0f, bb = 0.0f, ra = 0.0f, rb = 0.0f;  // sums over a = scale * q, b = sign * min
    for (int g = 0; g < kCount; ++g) {
      const float* xg = x + g * kGroup;
      const f32x4 per_min = splat(min_factor > 0.0f ? sign / min_factor : 0.0f);
      float least = -1.0f;
      float best_k = 0.0f, best_l = 0.0f, r = 0.0f, rq = 0.0f, q = 0.0f, qq = 0.0f;
      const auto consider = [&](f32x4 k) {
        const f32x4 scale = splat(factor) * k;
        const f32x4 offset = fit_offsets<Book>(xg, kGroup, fits[g], scale);
        // Next to the best offset, those a whole code away: they trade clipping at one end for clipping at the other.
        const f32x4 candidates[5] = {offset * per_min, offset * per_min - splat(1.0f), offset * per_min + splat(1.0f),
                                     (offset - scale) * per_min, (offset + scale) * per_min};
        for (const f32x4 candidate : candidates) {
          const f32x4 l = round4(clamp4(candidate, 0.0f, static_cast<float>(kScaleHigh)));
          const Residuals m = measure<Book>(xg, kGroup, scale, splat(sign) * (splat(min_factor) * l));
          const int lane = least_lane(m.rr, 0.0f);
          if (least >= 0.0f && !(m.rr[lane] < least)) continue;
          least = m.rr[lane];
          best_k = k[lane];
          best_l = l[lane];
          r = m.r[lane];
          rq = m.rq[lane];
          q = m.q[lane];
          qq = m.qq[lane];
        }
      };
      consider(integers_around(factor > 0.0f ? scales[g] / factor : 0.0f, 0, kScaleHigh));
      for (int k = 0; wide && k <= kScaleHigh; k += 4)
        if (static_cast<float>(k + 3) * factor >= 0.9f * scales[g]) consider(integers_from(k, kScaleHigh));
      now.scale[g] = static_cast<uint8_t>(best_k);
      now.min[g] = static_cast<uint8_t>(best_l);
      now.error += least;
      aa += best_k * best_k * qq;
      ab += best_k * sign * best_l * q;
      bb += best_l * best_l * kSize;
      ra += best_k * rq;
      rb += sign * best_l * r;
    }
    if (now.error < best.error) best = now;
    if (last >= 0.0f && !(now.error < last)) break;
    last = now.error;
    const float determinant = aa * bb - ab * ab;
    uint16_t better_d = d;
    uint16_t better_dmin = dmin;
    if (determinant > 1e-6f * aa * bb) {
      better_d = to_half(factor + (ra * bb - rb * ab) / determinant);
      better_dmin = to_half(min_factor + (rb * aa - ra * ab) / determinant);
    } else if (aa > 0.0f) {
      better_d = to_half(factor + ra / aa);
    }
    if ((better_d == d && better_dmin == dmin) || (better_d & 0x8000) != 0 || (better_dmin & 0x8000) != 0) break;
    d = better_d;
    dmin = better_dmin;
  }
}

/// Weights that are all 0 or of one magnitude: first the min, then the scale whose factor loses least in its rounding.
template <int kHighest, int kGroup, int kCount, int kScaleHigh>
static inline void fit_one_magnitude(const float* x, SuperAffine<kCount>& best) {
  using Book = Uniform<0, kHighest>;
  const Magnitude values = magnitude_of(x, kGroup * kCount);
  if (!values.only) return;
  int min = 0;
  uint16_t dmin = 0;
  float miss = values.size;
  for (int k = kScaleHigh; values.counts[0] > 0.0f && k > kScaleHigh / 2; --k) {
    const uint16_t half = to_half(values.size / static_cast<float>(k));
    const float e = magnitude(values.size - f16_to_f32(half) * static_cast<float>(k));
    if (!(e < miss)) continue;
    min = k;
    dmin = half;
    miss = e;
  }
  const float offset = -(f16_to_f32(dmin) * static_cast<float>(min));
  const float highest = (values.counts[2] > 0.0f ? values.size : 0.0f) - offset;
  for (int k = kScaleHigh; k > kScaleHigh * 3 / 4; --k)
    for (int code = 1; code <= kHighest; ++code) {
      const uint16_t d = to_half(highest / static_cast<float>(k * code));
      const float error = values.error<Book>(f16_to_f32(d) * static_cast<float>(k), offset);
      if (!(error < best.error)) continue;
      best = {d, dmin, {}, {}, error};
      for (uint8_t& s : best.scale) s = static_cast<uint8_t>(k);
      for (uint8_t& m : best.min) m = static_cast<uint8_t>(min);
    }
}

/// x ≈ d * scale * q - dmin * min. The starting points of the descent: the groups' best fits with offsets up to 0, the
/// same with offsets from 0 (then dmin is negative) where a group would have one, and the plain fit of each group's
/// range together with 0. The last is right where fits of equal worth differ, and where coarse mins hurt more than a
/// larger scale.
template <int kHighest, int kGroup, int kCount, int kScaleHigh>
static inline SuperAffine<kCount> fit_super_affine(const float* x, const Search& search, const Search& scale_search) {
  using Book = Uniform<0, kHighest>;
  Fit below[kCount];
  Fit above[kCount];
  Fit plain[kCount];
  bool any_above = false;
  float free_error = 0.0f;
  for (int g = 0; g < kCount; ++g) {
    const float* xg = x + g * kGroup;
    const Fit fit = fit_affine<kHighest>(xg, kGroup, search);
    below[g] = fit.offset <= 0.0f ? fit : fit_scale<Book>(xg, kGroup, scale_search);
    above[g] = fit;
    free_error += below[g].error;
    any_above = any_above || fit.offset > 0.0f;
    const Range range = range_of(xg, kGroup);
    const float low = range.low < 0.0f ? range.low : 0.0f;
    const float width = range.high > low ? range.high - low : 0.0f;
    const float scale = width < kNegligible ? 0.0f : width / static_cast<float>(kHighest);
    const Residuals m = measure<Book>(xg, kGroup, splat(scale), splat(low));
    plain[g] = {scale, low, m.rr[0], m.qq[0] - m.q[0] * m.q[0] / static_cast<float>(kGroup)};
  }
  for (int g = 0; any_above && g < kCount; ++g)
    if (above[g].offset < 0.0f) {
      above[g] = fit_scale<Book>(x + g * kGroup, kGroup, scale_search);
      if (above[g].scale < 0.0f) above[g].scale = 0.0f;
    }
  const float total = sum_of_squares(x, kGroup * kCount);
  SuperAffine<kCount> best = {0, 0, {}, {}, total};
  const Fit* leader = below;
  float leader_sign = -1.0f;
  const auto descend = [&](const Fit* fits, float sign, bool wide) {
    const float before = best.error;
    descend_affine<kHighest, kGroup, kCount, kScaleHigh>(x, fits, sign, wide, best);
    if (!(best.error < before)) return;
    leader = fits;
    leader_sign = sign;
  };
  descend(below, -1.0f, false);
  if (any_above) descend(above, 1.0f, false);
  if (best.error > kRoundingShare * free_error) descend(plain, -1.0f, false);
  if (best.error > kLatticeShare * free_error + kRounding * total) {
    descend(leader, leader_sign, true);
    fit_one_magnitude<kHighest, kGroup, kCount, kScaleHigh>(x, best);
  }
  return best;
}

}  // namespace
}  // namespace tw

#endif
