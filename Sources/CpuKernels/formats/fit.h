// Least-squares fits of a group of weights to scaled codes, the core of every encoder.
//
// A fit looks for the scale (and offset) with the least sum of squared errors. The error as a function of the scale has
// many local minima, because the codes change with it. So each fit measures a fixed set of starting points, keeps the
// best by the error it would have after solving for the scale (and offset) with its codes held, and repeats that
// solving until it stops helping. All sums are of residuals, not of the weights: Σx² - (Σxq)²/Σq² would cancel to noise
// in float for 6 and 8 bits.
//
// The four-lane vectors are GCC's and clang's portable ones (SSE2, NEON): additions happen in the same order
// everywhere, so a file quantizes to the same bytes on every machine.
#ifndef TILEWRIGHT_FORMATS_FIT_H
#define TILEWRIGHT_FORMATS_FIT_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "bits.h"

namespace tw {
namespace {

typedef float f32x4 __attribute__((vector_size(16)));

static inline f32x4 splat(float x) {
  return f32x4{x, x, x, x};
}

static inline f32x4 load4(const float* x) {
  f32x4 v;
  memcpy(&v, x, sizeof v);
  return v;
}

static inline float sum4(f32x4 v) {
  return (v[0] + v[1]) + (v[2] + v[3]);
}

/// Round to nearest even, |v| < 2^22: adding 1.5 * 2^23 leaves no bits for the fraction.
static inline f32x4 round4(f32x4 v) {
  return (v + splat(12582912.0f)) - splat(12582912.0f);
}

static inline f32x4 clamp4(f32x4 v, float low, float high) {
#if defined(__SSE__)
  return _mm_min_ps(_mm_max_ps(v, splat(low)), splat(high));  // gcc 12 makes four instructions of each selection below
#else
  v = v > splat(low) ? v : splat(low);
  return v < splat(high) ? v : splat(high);
#endif
}

/// `value` where the mask is set, 0 elsewhere.
static inline f32x4 where(decltype(f32x4{} > f32x4{}) mask, float value) {
  return reinterpret_cast<f32x4>(mask & reinterpret_cast<decltype(mask)>(splat(value)));
}

/// Code books: the values that a scale multiplies. `nearest` maps to the closest value, `targets` lists where a fit's
/// starting points put the weight of largest magnitude (see fit_scale).
template <int kLowest, int kHighest>
struct Uniform {
  static constexpr float kLow = kLowest;
  static constexpr float kHigh = kHighest;
  static f32x4 nearest(f32x4 v) { return round4(clamp4(v, kLow, kHigh)); }
};

struct Iq4Book {
  static constexpr float kLow = -127;
  static constexpr float kHigh = 113;
  static f32x4 nearest(f32x4 v) {
    f32x4 value = splat(kLow);
    for (int i = 1; i < 16; ++i) {
      const float step = static_cast<float>(kIq4Values[i] - kIq4Values[i - 1]);
      value += where(v > splat(static_cast<float>(kIq4Values[i]) - 0.5f * step), step);
    }
    return value;
  }
};

struct E2m1Book {
  static constexpr float kLow = -12;
  static constexpr float kHigh = 12;
  static f32x4 nearest(f32x4 v) {
    const f32x4 magnitude = v < splat(0.0f) ? -v : v;
    f32x4 value = splat(0.0f);
    for (int i = 1; i < 8; ++i) {
      const float step = static_cast<float>(kE2m1Doubled[i] - kE2m1Doubled[i - 1]);
      value += where(magnitude > splat(static_cast<float>(kE2m1Doubled[i]) - 0.5f * step), step);
    }
    return v < splat(0.0f) ? -value : value;
  }
};

/// Sums over a group with residuals r = x - (scale * q + offset), q the nearest codes.
struct Residuals {
  float rr, r, rq, q, qq;
};

template <class Book>
static inline Residuals measure(const float* x, int n, float scale, float offset) {
  const f32x4 s = splat(scale);
  const f32x4 inverse = splat(scale != 0.0f ? 1.0f / scale : 0.0f);
  const f32x4 o = splat(offset);
  f32x4 rr = splat(0.0f), r1 = rr, rq = rr, q1 = rr, qq = rr;
  for (int i = 0; i < n; i += 4) {
    const f32x4 y = load4(x + i) - o;
    const f32x4 q = Book::nearest(y * inverse);
    const f32x4 r = y - s * q;
    rr += r * r;
    r1 += r;
    rq += r * q;
    q1 += q;
    qq += q * q;
  }
  return {sum4(rr), sum4(r1), sum4(rq), sum4(q1), sum4(qq)};
}

/// The nearest codes themselves.
template <class Book>
static inline void quantize_codes(const float* x, int n, float scale, float offset, int8_t* q) {
  const f32x4 inverse = splat(scale != 0.0f ? 1.0f / scale : 0.0f);
  for (int i = 0; i < n; i += 4) {
    const f32x4 code = Book::nearest((load4(x + i) - splat(offset)) * inverse);
    for (int j = 0; j < 4; ++j) q[i + j] = static_cast<int8_t>(code[j]);
  }
}

static inline float sum_of_squares(const float* x, int n) {
  f32x4 sum = splat(0.0f);
  for (int i = 0; i < n; i += 4) sum += load4(x + i) * load4(x + i);
  return sum4(sum);
}

/// The weight of largest magnitude, with its sign.
static inline float peak(const float* x, int n) {
  float max = 0.0f;
  for (int i = 0; i < n; ++i)
    if ((x[i] < 0.0f ? -x[i] : x[i]) > (max < 0.0f ? -max : max)) max = x[i];
  return max;
}

/// Below this magnitude every weight is nearer to 0 than to the smallest half (2^-24), the least step there is.
static constexpr float kNegligible = 0x1p-26f;

/// An error solved for from residuals is uncertain by about this part of their squares. Candidates closer than that
/// count as equal, and the earlier stays: groups that a lattice fits exactly then all choose the same one of its
/// multiples, which is what a common factor needs.
static constexpr float kTie = 0x1p-22f;

struct Fit {
  float scale, offset, error;
};

/// What the search tries: the largest weight lands on `step` apart points of [low end - outside, low end + inside],
/// and on the like at the high end. Outside of the code book means that it is clipped.
struct Search {
  float inside, outside, step;
};

/// The best scale for x ≈ scale * q, offset as given.
template <class Book>
static inline Fit fit_scale(const float* x, int n, const Search& search) {
  Fit best = {0.0f, 0.0f, sum_of_squares(x, n)};
  const float max = peak(x, n);
  if ((max < 0.0f ? -max : max) < kNegligible) return best;
  const auto consider = [&](float scale) {
    const Residuals m = measure<Book>(x, n, scale, 0.0f);
    if (m.qq == 0.0f) return false;
    const float error = m.rr - m.rq * m.rq / m.qq;
    if (!(error < best.error - kTie * m.rr)) return false;
    best = {scale + m.rq / m.qq, 0.0f, error};
    return true;
  };
  for (float at = search.outside; at >= -search.inside; at -= search.step) {
    if (Book::kLow < 0.0f) consider(max / (Book::kLow - at));
    if (Book::kHigh > 0.0f) consider(max / (Book::kHigh + at));
  }
  for (int i = 0; i < 4 && consider(best.scale); ++i) {
  }
  return best;
}

/// The best scale and offset for x ≈ scale * q + offset, q in 0..kHighest. Starting points put the least and the
/// greatest weight `at` steps outside of the codes, each end on its own.
template <int kHighest>
static inline Fit fit_affine(const float* x, int n, const Search& search) {
  using Book = Uniform<0, kHighest>;
  float low = x[0];
  float high = x[0];
  for (int i = 1; i < n; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  Fit best = {0.0f, 0.5f * (low + high), 0.0f};
  for (int i = 0; i < n; ++i) best.error += (x[i] - best.offset) * (x[i] - best.offset);
  if (high - low < kNegligible) return best;
  const float count = static_cast<float>(n);
  const auto consider = [&](float scale, float offset) {
    const Residuals m = measure<Book>(x, n, scale, offset);
    const float determinant = count * m.qq - m.q * m.q;
    if (!(determinant > 0.0f)) return false;
    const float scale_step = (count * m.rq - m.q * m.r) / determinant;
    const float offset_step = (m.qq * m.r - m.q * m.rq) / determinant;
    const float error = m.rr - scale_step * m.rq - offset_step * m.r;
    if (!(error < best.error - kTie * m.rr)) return false;
    best = {scale + scale_step, offset + offset_step, error};
    return true;
  };
  for (float a = search.outside; a >= -search.inside; a -= search.step)
    for (float b = search.outside; b >= -search.inside; b -= search.step) {
      const float scale = (high - low) / (static_cast<float>(kHighest) + a + b);
      consider(scale, low + a * scale);
    }
  for (int i = 0; i < 6 && consider(best.scale, best.offset); ++i) {
  }
  // Codes that leave 0 unused can move down with the offset moved up. Groups of equal range then have equal offsets.
  const float unused = best.scale > 0.0f ? Book::nearest(splat((low - best.offset) / best.scale))[0] : 0.0f;
  const float moved = best.offset + unused * best.scale;
  if ((moved < 0.0f) == (best.offset < 0.0f)) best.offset = moved;
  return best;
}

}  // namespace
}  // namespace tw

#endif
