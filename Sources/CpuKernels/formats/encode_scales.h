// The encoder for super-blocks of scales alone: w = d * scale * code (Q3_K, Q6_K, IQ4_XS).
#ifndef TILEWRIGHT_FORMATS_ENCODE_SCALES_H
#define TILEWRIGHT_FORMATS_ENCODE_SCALES_H

#include "encode_super.h"

namespace tw {
namespace {

template <int kCount>
struct SuperScales {
  uint16_t d;
  int8_t scale[kCount];
  float error;
};

/// Descends on the error of x ≈ d * scale * q, scale in kScaleLow..kScaleHigh, from group fits; keeps `best` if lower.
/// A wide descent tries every larger scale for every group.
template <class Book, int kGroup, int kCount, int kScaleLow, int kScaleHigh>
static inline void descend_scales(const float* x, const Fit* fits, bool wide, SuperScales<kCount>& best) {
  float scales[kCount];
  float spreads[kCount];
  for (int g = 0; g < kCount; ++g) {
    scales[g] = fits[g].scale;
    spreads[g] = fits[g].spread;
  }
  uint16_t d = common_factor(scales, spreads, kCount, kScaleLow, kScaleHigh);
  float last = -1.0f;
  for (int round = 0; round < 3 && (d & 0x7fff) != 0; ++round) {
    const float factor = f16_to_f32(d);
    SuperScales<kCount> now = {d, {}, 0.0f};
    float slope = 0.0f;
    float curvature = 0.0f;
    for (int g = 0; g < kCount; ++g) {
      float least = -1.0f;
      float best_k = 0.0f, rq = 0.0f, qq = 0.0f;
      const auto consider = [&](f32x4 k) {
        const Residuals m = measure<Book>(x + g * kGroup, kGroup, splat(factor) * k, splat(0.0f));
        const int lane = least_lane(m.rr, 0.0f);
        if (least >= 0.0f && !(m.rr[lane] < least)) return;
        least = m.rr[lane];
        best_k = k[lane];
        rq = m.rq[lane];
        qq = m.qq[lane];
      };
      consider(integers_around(scales[g] / factor, kScaleLow, kScaleHigh));
      for (int k = kScaleLow; wide && k <= kScaleHigh; k += 4)
        if (static_cast<float>(k < 0 ? -k : k + 3) * magnitude(factor) >= 0.9f * magnitude(scales[g]))
          consider(integers_from(k, kScaleHigh));
      now.scale[g] = static_cast<int8_t>(best_k);
      now.error += least;
      slope += best_k * rq;
      curvature += best_k * best_k * qq;
    }
    if (now.error < best.error) best = now;
    if (last >= 0.0f && !(now.error < last)) break;
    last = now.error;
    const uint16_t better = to_half(factor + (curvature > 0.0f ? slope / curvature : 0.0f));
    if (better == d) break;
    d = better;
  }
}

/// Weights that are all 0 or of one magnitude: every scale and code can serve, so the one is searched whose factor
/// loses least when it is rounded to a half.
template <class Book, int kGroup, int kCount, int kScaleLow, int kScaleHigh>
static inline void fit_one_magnitude(const float* x, SuperScales<kCount>& best) {
  const Magnitude values = magnitude_of(x, kGroup * kCount);
  if (!values.only) return;
  for (int k = kScaleLow; k <= kScaleHigh; ++k) {
    if (k > kScaleLow * 3 / 4 && k < kScaleHigh * 3 / 4) continue;
    for (float code = Book::kLow; code <= Book::kHigh; code += 1.0f) {
      if (code == 0.0f) continue;
      const uint16_t d = to_half(values.size / (static_cast<float>(k) * code));
      const float error = values.error<Book>(f16_to_f32(d) * static_cast<float>(k), 0.0f);
      if (!(error < best.error)) continue;
      best.d = d;
      best.error = error;
      for (int8_t& s : best.scale) s = static_cast<int8_t>(k);
    }
  }
}

/// x ≈ d * scale * q. Descends from the groups' best fits and from their plain ones, the peak on the end of the codes:
/// groups that many scales fit about equally well (all weights alike, say) agree on a common factor only if they choose
/// theirs in the same way.
template <class Book, int kGroup, int kCount, int kScaleLow, int kScaleHigh>
static inline SuperScales<kCount> fit_super_scales(const float* x, const Search& search) {
  Fit fitted[kCount];
  Fit plain[kCount];
  float free_error = 0.0f;
  for (int g = 0; g < kCount; ++g) {
    const float* xg = x + g * kGroup;
    fitted[g] = fit_scale<Book>(xg, kGroup, search);
    free_error += fitted[g].error;
    const float scale = fitted[g].scale != 0.0f ? peak(xg, kGroup) / Book::kLow : 0.0f;
    const Residuals m = measure<Book>(xg, kGroup, splat(scale), splat(0.0f));
    plain[g] = {scale + (m.qq[0] > 0.0f ? m.rq[0] / m.qq[0] : 0.0f), 0.0f, m.rr[0], m.qq[0]};
  }
  const float total = sum_of_squares(x, kGroup * kCount);
  SuperScales<kCount> best = {0, {}, total};
  const Fit* leader = fitted;
  const auto descend = [&](const Fit* fits, bool wide) {
    const float before = best.error;
    descend_scales<Book, kGroup, kCount, kScaleLow, kScaleHigh>(x, fits, wide, best);
    if (best.error < before) leader = fits;
  };
  descend(fitted, false);
  if (best.error > kRoundingShare * free_error) descend(plain, false);
  if (best.error > kLatticeShare * free_error + kRounding * total) {
    descend(leader, true);
    fit_one_magnitude<Book, kGroup, kCount, kScaleLow, kScaleHigh>(x, best);
  }
  return best;
}

}  // namespace
}  // namespace tw

#endif
