// Encoders for blocks of one scale: the fit, then the choice among the halves next to its result. Halves are coarse (11
// bits, and far fewer below 2^-14), so the candidates are judged by the error they really give. The plain quantizer's
// choice, the peak on the end of the codes, is always among the candidates: no block is encoded worse than by it.
#ifndef TILEWRIGHT_FORMATS_ENCODE_BLOCK_H
#define TILEWRIGHT_FORMATS_ENCODE_BLOCK_H

#include <math.h>

#include "fit.h"

namespace tw {
namespace {

static constexpr float kMaxFloat = 3.4028234663852886e38f;
static constexpr float kMaxHalf = 65504.0f;

/// Non-finite and unrepresentable input: NaN counts as 0, everything else is clamped to [low, high].
static inline void sanitize(const float* in, int n, float low, float high, float* x) {
  for (int i = 0; i < n; ++i) {
    const float v = in[i] == in[i] ? in[i] : 0.0f;
    x[i] = v < low ? low : v > high ? high : v;
  }
}

/// To the nearest finite half.
static inline uint16_t to_half(float x) {
  return f32_to_f16(x > kMaxHalf ? kMaxHalf : x < -kMaxHalf ? -kMaxHalf : x);
}

/// The half `steps` further from zero (nearer for negative steps), at most to zero or the largest finite one.
static inline uint16_t half_step(uint16_t h, int steps) {
  const int magnitude = (h & 0x7fff) + steps;
  return static_cast<uint16_t>((h & 0x8000) | (magnitude < 0 ? 0 : magnitude > 0x7bff ? 0x7bff : magnitude));
}

/// Scales x by a power of two so that the peak is in [0.5, 1) (or stays 0), for formats whose scale has a float's
/// range: the squares of the weights do not. Returns the exponent that was taken out.
static inline int normalize(float* x, int n) {
  int exponent = 0;
  (void)frexpf(peak(x, n), &exponent);
  const float half_way = ldexpf(1.0f, -exponent / 2);  // in two steps, each of which is representable
  const float rest = ldexpf(1.0f, -exponent - -exponent / 2);
  for (int i = 0; i < n; ++i) x[i] = x[i] * half_way * rest;
  return exponent;
}

/// The first place of a value in a code book of 16.
static inline int8_t index_of(const int8_t* book, int8_t value) {
  int8_t i = 0;
  while (i < 15 && book[i] != value) ++i;
  return i;
}

/// Relative squared error below which the rounding of a half (up to 2^-12, relatively) can be a part of it.
static constexpr float kNearlyExact = 0x1p-20f;

struct HalfFit {
  uint16_t scale, offset;
  float error;
};

/// The best half for x ≈ scale * q + offset, the offset as given (itself a half).
template <class Book>
static inline HalfFit fit_half_scale(const float* x, int n, const Search& search, uint16_t offset = 0) {
  const float o = f16_to_f32(offset);
  float y[256];
  for (int i = 0; i < n; ++i) y[i] = x[i] - o;
  HalfFit best = {0, offset, sum_of_squares(y, n)};
  if (best.error == 0.0f) return best;
  float better = 0.0f;  // the least-squares scale for the codes of the best half
  const auto consider = [&](uint16_t scale) {
    const float s = f16_to_f32(scale);
    const Residuals m = measure<Book>(y, n, s, 0.0f);
    if (!(m.rr < best.error) || s == 0.0f) return false;
    best = {scale, offset, m.rr};
    better = m.qq != 0.0f ? s + m.rq / m.qq : s;
    return true;
  };
  const Fit fit = fit_scale<Book>(y, n, search);
  const uint16_t nearest = to_half(fit.scale);
  for (int step = -1; step <= 1; ++step) consider(half_step(nearest, step));
  consider(to_half(peak(y, n) / (Book::kLow < 0.0f ? Book::kLow : Book::kHigh)));
  if (better == 0.0f) return best;
  for (int i = 0; i < 3 && consider(to_half(better)); ++i) {
  }
  // Weights on a lattice, or all alike: now the rounding of the scale decides, so every code is tried for the peak.
  if (best.error < kNearlyExact * sum_of_squares(y, n)) {
    const float max = peak(y, n);
    for (float code = Book::kLow; code <= Book::kHigh; code += 1.0f) {
      const uint16_t scale = to_half(code != 0.0f ? max / code : 0.0f);
      for (int step = -1; step <= 1; ++step) consider(half_step(scale, step));
    }
  }
  return best;
}

/// The best halves for x ≈ scale * q + offset, q in 0..kHighest.
template <int kHighest>
static inline HalfFit fit_half_affine(const float* x, int n, const Search& search, const Search& scale_search) {
  using Book = Uniform<0, kHighest>;
  const Fit fit = fit_affine<kHighest>(x, n, search);
  HalfFit best = {0, 0, sum_of_squares(x, n)};
  const uint16_t nearest = to_half(fit.offset);
  const auto keep = [&](const HalfFit& f) {
    if (f.error < best.error) best = f;
  };
  const auto consider = [&](uint16_t offset, float s) {
    const float o = f16_to_f32(offset);
    for (int i = 0; i < 2; ++i) {
      const Residuals m = measure<Book>(x, n, s, o);
      if (m.qq == 0.0f) break;
      s += m.rq / m.qq;
    }
    const uint16_t scale = to_half(s);
    for (int step = -1; step <= 1; ++step) {
      const uint16_t h = half_step(scale, step);
      keep({h, offset, measure<Book>(x, n, f16_to_f32(h), o).rr});
    }
  };
  for (int step = -1; step <= 1; ++step) consider(half_step(nearest, step), fit.scale);
  float low = x[0];
  float high = x[0];
  for (int i = 1; i < n; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  const uint16_t plain = to_half(low);
  const uint16_t plain_scale = to_half((high - low) / static_cast<float>(kHighest));
  keep({plain_scale, plain, measure<Book>(x, n, f16_to_f32(plain_scale), f16_to_f32(plain)).rr});
  // Far from zero the halves lie further apart than the codes: then the offset is a given, and the scale is searched.
  const float apart = f16_to_f32(half_step(plain, 1)) - f16_to_f32(plain);
  if ((apart < 0.0f ? -apart : apart) > 0.25f * fit.scale)
    for (int step = -1; step <= 1; ++step) keep(fit_half_scale<Book>(x, n, scale_search, half_step(plain, step)));
  return best;
}

}  // namespace
}  // namespace tw

#endif
