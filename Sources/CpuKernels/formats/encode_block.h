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

/// Whether an error is so small that the rounding of the scale to a half makes it (twice the distance to the next half,
/// relative), and yet large enough to be one.
static inline bool on_lattice(float error, uint16_t scale, float total) {
  const float mantissa = static_cast<float>((scale & 0x7c00) != 0 ? 1024 + (scale & 0x3ff) : (scale & 0x3ff));
  return error * mantissa * mantissa < 4.0f * total && error > kRounding * total;
}

/// Below this many steps of 2^-24 from zero, halves differ by more than 3%: all of them are tried.
static constexpr int kCoarseHalf = 32;

struct HalfFit {
  uint16_t scale, offset;
  float error;
};

/// The best half for x ≈ scale * q + offset, the offset as given (itself a half).
template <class Book>
static inline HalfFit fit_half_scale(const float* x, int n, const Search& search, uint16_t offset = 0) {
  float y[256];
  for (int i = 0; i < n; ++i) y[i] = x[i] - f16_to_f32(offset);
  const float total = sum_of_squares(y, n);
  HalfFit best = {0, offset, total};
  const float max = peak(y, n);
  if (magnitude(max) < kNegligible) return best;
  float solved = 0.0f;  // the least-squares scale for the codes of the best half
  const auto consider = [&](uint16_t h0, uint16_t h1, uint16_t h2, uint16_t h3) {
    const uint16_t halves[4] = {h0, h1, h2, h3};
    const f32x4 scale = {f16_to_f32(h0), f16_to_f32(h1), f16_to_f32(h2), f16_to_f32(h3)};
    const Residuals m = measure<Book>(y, n, scale, splat(0.0f));
    const int lane = least_lane(m.rr, 0.0f);
    if (!(m.rr[lane] < best.error)) return false;
    best = {halves[lane], offset, m.rr[lane]};
    solved = scale[lane] + (m.qq[lane] > 0.0f ? m.rq[lane] / m.qq[lane] : 0.0f);
    return true;
  };
  const auto consider_around = [&](float scale) {
    const uint16_t h = to_half(scale);
    return consider(half_step(h, -1), h, half_step(h, 1), half_step(h, 2));
  };
  const float plain = max / (Book::kLow < 0.0f ? Book::kLow : Book::kHigh);
  consider_around(plain);
  consider_around(fit_scale<Book>(y, n, search).scale);
  for (int i = 0; i < 2 && consider_around(solved); ++i) {
  }
  if ((to_half(plain) & 0x7fff) < kCoarseHalf)
    for (int h = 1; h < 2 * kCoarseHalf; h += 2)
      consider(static_cast<uint16_t>(h), static_cast<uint16_t>(h + 1), static_cast<uint16_t>(h | 0x8000),
               static_cast<uint16_t>((h + 1) | 0x8000));
  // Weights on a lattice, or all alike: now the rounding of the scale decides, so every code is tried for the peak. The
  // lower half of the codes is not needed: twice the code with half the scale is the same.
  if (on_lattice(best.error, best.scale, total)) {
    uint16_t halves[4] = {0, 0, 0, 0};
    int count = 0;
    for (float code = Book::kLow; code <= Book::kHigh; code += 1.0f) {
      const bool lower_half = 2.0f * code >= Book::kLow && 2.0f * code <= Book::kHigh;
      if (lower_half || Book::nearest(splat(code))[0] != code) continue;
      halves[count++ % 4] = to_half(max / code);
      if (count % 4 == 0) consider(halves[0], halves[1], halves[2], halves[3]);
    }
    consider(halves[0], halves[1], halves[2], halves[3]);
  }
  return best;
}

/// The best halves for x ≈ scale * q + offset, q in 0..kHighest.
template <int kHighest>
static inline HalfFit fit_half_affine(const float* x, int n, const Search& search, const Search& scale_search) {
  using Book = Uniform<0, kHighest>;
  const Range range = range_of(x, n);
  const float width = range.high - range.low;
  const float total = sum_of_squares(x, n);
  HalfFit best = {0, 0, total};
  if (magnitude(peak(x, n)) < kNegligible) return best;
  struct Candidates {
    uint16_t scale[4], offset[4];
  };
  const auto values = [](const uint16_t* h) {
    return f32x4{f16_to_f32(h[0]), f16_to_f32(h[1]), f16_to_f32(h[2]), f16_to_f32(h[3])};
  };
  const auto consider = [&](const Candidates& c) {
    const f32x4 error = measure<Book>(x, n, values(c.scale), values(c.offset)).rr;
    const int lane = least_lane(error, 0.0f);
    if (error[lane] < best.error) best = {c.scale[lane], c.offset[lane], error[lane]};
  };

  // The plain choice, and three offsets around the fitted one with the scales that are best for them.
  const Fit fit = fit_affine<kHighest>(x, n, search);
  const uint16_t plain = to_half(range.low);
  const uint16_t nearest = to_half(fit.offset);
  Candidates c = {{}, {half_step(nearest, -1), nearest, half_step(nearest, 1), plain}};
  f32x4 solved = splat(fit.scale);
  for (int i = 0; i < 2; ++i) {
    const Residuals m = measure<Book>(x, n, solved, values(c.offset));
    solved += where(m.qq > splat(0.0f), m.rq / m.qq);
  }
  for (int step = -1; step <= 1; ++step) {
    for (int lane = 0; lane < 4; ++lane) c.scale[lane] = half_step(to_half(solved[lane]), step);
    consider(c);
  }
  for (uint16_t& h : c.scale) h = to_half(width / static_cast<float>(kHighest));
  consider(c);

  // Weights on a lattice: every pair of codes that are more than half of the range apart is tried for the ends.
  if (width > 0.0f && on_lattice(best.error, best.scale, total))
    for (int span = kHighest; span > kHighest / 2; --span)
      for (int first = 0; first + span <= kHighest; first += 4) {
        for (int lane = 0; lane < 4; ++lane) {
          c.scale[lane] = to_half(width / static_cast<float>(span));
          c.offset[lane] = to_half(range.low - static_cast<float>(first + lane) * f16_to_f32(c.scale[lane]));
        }
        consider(c);
      }
  // Far from zero the halves lie further apart than the codes: then the offset is a given, and the scale is searched.
  const float apart = magnitude(f16_to_f32(half_step(plain, 1)) - f16_to_f32(plain));
  if (apart > 0.25f * fit.scale || range.low >= kMaxHalf)
    for (int step = -1; step <= 1; ++step) {
      const HalfFit fixed = fit_half_scale<Book>(x, n, scale_search, half_step(plain, step));
      if (fixed.error < best.error) best = fixed;
    }
  return best;
}

}  // namespace
}  // namespace tw

#endif
