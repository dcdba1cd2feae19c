// Encoders for super-blocks: groups whose scales (and mins) are small integers times one half. Three steps: fit every
// group on its own, choose the common factor from those fits, then descend on the true error: integers near the fitted
// ones, and the least-squares factor for the codes at hand, in turn, as long as the error falls.
#ifndef TILEWRIGHT_FORMATS_ENCODE_SUPER_H
#define TILEWRIGHT_FORMATS_ENCODE_SUPER_H

#include "encode_block.h"

namespace tw {
namespace {

static inline float magnitude(float x) {
  return x < 0.0f ? -x : x;
}

static inline int to_code(float x, int low, int high) {
  return static_cast<int>(rintf(x < static_cast<float>(low)    ? static_cast<float>(low)
                                : x > static_cast<float>(high) ? static_cast<float>(high)
                                                               : x));
}

/// The half d for values ≈ d * integer in low..high with the least weighted squares: the peak is put on each integer of
/// the upper half of the range (all of it where halves are subnormal), and every choice is judged after its rounding.
static inline uint16_t common_factor(const float* values, const float* weights, int n, int low, int high) {
  const float max = peak(values, n);
  uint16_t best = 0;
  float best_cost = 0.0f;
  for (int i = 0; i < n; ++i) best_cost += weights[i] * values[i] * values[i];
  const auto consider = [&](int k) {
    const uint16_t half = to_half(max / static_cast<float>(k));
    const float d = f16_to_f32(half);
    if (d == 0.0f) return;
    const float inverse = 1.0f / d;
    float cost = 0.0f;
    for (int i = 0; i < n; ++i) {
      const float miss = values[i] - d * static_cast<float>(to_code(values[i] * inverse, low, high));
      cost += weights[i] * miss * miss;
    }
    if (cost < best_cost) {
      best = half;
      best_cost = cost;
    }
  };
  const bool coarse = magnitude(max) < 0x1p-14f * static_cast<float>(high);
  for (int k = high; k > (coarse ? 0 : high / 2); --k) consider(k);
  for (int k = low; k < (coarse ? 0 : low / 2); ++k) consider(k);
  return best;
}

template <int kCount>
struct SuperScales {
  uint16_t d;
  int8_t scale[kCount];
  float error;
};

/// Descends on the error of x ≈ d * scale * q, scale in kScaleLow..kScaleHigh, from group scales; keeps `best` if
/// lower.
template <class Book, int kGroup, int kCount, int kScaleLow, int kScaleHigh>
static inline void descend_scales(const float* x, const float* scales, SuperScales<kCount>& best) {
  float weights[kCount];
  for (int g = 0; g < kCount; ++g)
    weights[g] = scales[g] != 0.0f ? measure<Book>(x + g * kGroup, kGroup, scales[g], 0.0f).qq : 0.0f;
  uint16_t d = common_factor(scales, weights, kCount, kScaleLow, kScaleHigh);
  float last = -1.0f;
  for (int round = 0; round < 3 && (d & 0x7fff) != 0; ++round) {
    const float factor = f16_to_f32(d);
    SuperScales<kCount> now = {d, {}, 0.0f};
    float slope = 0.0f;
    float curvature = 0.0f;
    for (int g = 0; g < kCount; ++g) {
      const int middle = to_code(scales[g] / factor, kScaleLow, kScaleHigh);
      Residuals least = {sum_of_squares(x + g * kGroup, kGroup), 0.0f, 0.0f, 0.0f, 0.0f};
      for (int k = middle - 1; k <= middle + 1; ++k) {
        if (k < kScaleLow || k > kScaleHigh || k == 0) continue;
        const Residuals m = measure<Book>(x + g * kGroup, kGroup, factor * static_cast<float>(k), 0.0f);
        if (!(m.rr < least.rr)) continue;
        least = m;
        now.scale[g] = static_cast<int8_t>(k);
      }
      now.error += least.rr;
      slope += static_cast<float>(now.scale[g]) * least.rq;
      curvature += static_cast<float>(now.scale[g] * now.scale[g]) * least.qq;
    }
    if (now.error < best.error) best = now;
    if (last >= 0.0f && !(now.error < last)) break;
    last = now.error;
    const uint16_t better = to_half(factor + (curvature > 0.0f ? slope / curvature : 0.0f));
    if (better == d) break;
    d = better;
  }
}

/// x ≈ d * scale * q. Descends from the groups' best fits and from their plain ones, the peak on the end of the codes:
/// groups that many scales fit about equally well (all weights alike, say) agree on a common factor only if they choose
/// theirs in the same way.
template <class Book, int kGroup, int kCount, int kScaleLow, int kScaleHigh>
static inline SuperScales<kCount> fit_super_scales(const float* x, const Search& search) {
  float fitted[kCount];
  float plain[kCount];
  for (int g = 0; g < kCount; ++g) {
    const float* xg = x + g * kGroup;
    fitted[g] = fit_scale<Book>(xg, kGroup, search).scale;
    plain[g] = fitted[g] != 0.0f ? peak(xg, kGroup) / Book::kLow : 0.0f;
    if (plain[g] == 0.0f) continue;
    const Residuals m = measure<Book>(xg, kGroup, plain[g], 0.0f);
    if (m.qq > 0.0f) plain[g] += m.rq / m.qq;
  }
  SuperScales<kCount> best = {0, {}, sum_of_squares(x, kGroup * kCount)};
  descend_scales<Book, kGroup, kCount, kScaleLow, kScaleHigh>(x, fitted, best);
  descend_scales<Book, kGroup, kCount, kScaleLow, kScaleHigh>(x, plain, best);
  return best;
}

template <int kCount>
struct SuperAffine {
  uint16_t d, dmin;
  uint8_t scale[kCount], min[kCount];
  float error;
};

/// Descends on the error of x ≈ d * scale * q - dmin * min, scale and min in 0..kScaleHigh, q in 0..kHighest, from
/// group fits whose offsets have the given sign or are 0; keeps `best` if lower.
template <int kHighest, int kGroup, int kCount, int kScaleHigh>
static inline void descend_affine(const float* x, const Fit* fits, float sign, SuperAffine<kCount>& best) {
  using Book = Uniform<0, kHighest>;
  constexpr float kSize = static_cast<float>(kGroup);
  float scales[kCount];
  float weights[kCount];
  for (int g = 0; g < kCount; ++g) {
    const Residuals m = measure<Book>(x + g * kGroup, kGroup, fits[g].scale, fits[g].offset);
    scales[g] = fits[g].scale;
    weights[g] = fits[g].offset != 0.0f ? m.qq - m.q * m.q / kSize : m.qq;
  }
  uint16_t d = common_factor(scales, weights, kCount, 0, kScaleHigh);

  // With the scales rounded to multiples of d, the offsets have new best values.
  float mins[kCount];
  for (int g = 0; g < kCount; ++g) {
    const float factor = f16_to_f32(d);
    const float s = factor * static_cast<float>(d != 0 ? to_code(scales[g] / factor, 0, kScaleHigh) : 0);
    const float offset = fits[g].offset + measure<Book>(x + g * kGroup, kGroup, s, fits[g].offset).r / kSize;
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
      const int middle = factor > 0.0f ? to_code(scales[g] / factor, 0, kScaleHigh) : 0;
      Residuals least = {-1.0f, 0.0f, 0.0f, 0.0f, 0.0f};
      for (int k = middle - 1; k <= middle + 1; ++k) {
        if (k < 0 || k > kScaleHigh) continue;
        const float s = factor * static_cast<float>(k);
        const float offset = fits[g].offset + measure<Book>(xg, kGroup, s, fits[g].offset).r / kSize;
        const int min_middle = min_factor > 0.0f ? to_code(sign * offset / min_factor, 0, kScaleHigh) : 0;
        for (int l = min_middle - 1; l <= min_middle + 1; ++l) {
          if (l < 0 || l > kScaleHigh) continue;
          const Residuals m = measure<Book>(xg, kGroup, s, sign * (min_factor * static_cast<float>(l)));
          if (least.rr >= 0.0f && !(m.rr < least.rr)) continue;
          least = m;
          now.scale[g] = static_cast<uint8_t>(k);
          now.min[g] = static_cast<uint8_t>(l);
        }
      }
      const float k = now.scale[g];
      const float l = sign * static_cast<float>(now.min[g]);
      now.error += least.rr;
      aa += k * k * least.qq;
      ab += k * l * least.q;
      bb += l * l * kSize;
      ra += k * least.rq;
      rb += l * least.r;
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
  for (int g = 0; g < kCount; ++g) {
    const float* xg = x + g * kGroup;
    const Fit fit = fit_affine<kHighest>(xg, kGroup, search);
    below[g] = fit.offset <= 0.0f ? fit : fit_scale<Book>(xg, kGroup, scale_search);
    above[g] = fit.offset >= 0.0f ? fit : Fit{0.0f, 0.0f, 0.0f};
    any_above = any_above || fit.offset > 0.0f;
    float low = 0.0f;
    float high = 0.0f;
    for (int i = 0; i < kGroup; ++i) {
      low = xg[i] < low ? xg[i] : low;
      high = xg[i] > high ? xg[i] : high;
    }
    plain[g] = {high - low < kNegligible ? 0.0f : (high - low) / static_cast<float>(kHighest), low, 0.0f};
  }
  SuperAffine<kCount> best = {0, 0, {}, {}, sum_of_squares(x, kGroup * kCount)};
  descend_affine<kHighest, kGroup, kCount, kScaleHigh>(x, below, -1.0f, best);
  descend_affine<kHighest, kGroup, kCount, kScaleHigh>(x, plain, -1.0f, best);
  if (!any_above) return best;
  for (int g = 0; g < kCount; ++g) {
    if (above[g].offset == 0.0f && above[g].scale == 0.0f)
      above[g] = fit_scale<Book>(x + g * kGroup, kGroup, scale_search);
    if (above[g].scale < 0.0f) above[g].scale = 0.0f;
  }
  descend_affine<kHighest, kGroup, kCount, kScaleHigh>(x, above, 1.0f, best);
  return best;
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
