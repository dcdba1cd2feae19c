// Least-squares fits of a group of weights to scaled codes, the core of every encoder.
//
// A fit looks for the scale (and offset) with the least sum of squared errors. As a function of the scale that error
// has many local minima, because the codes change with it. So a fit measures a fixed set of candidates, replaces each
// by the solution for its codes held, keeps the best in each of four lanes and repeats the solving for those until none
// falls further. All sums are of residuals, not of the weights: Σx² - (Σxq)²/Σq² would cancel to noise in float for 6
// and 8 bits.
//
// The lanes of a vector are four candidates, never four weights: no sum runs across lanes, and groups of 16 weights are
// as efficient as long ones. The vectors are GCC's and clang's portable ones (SSE2, NEON), the additions happen in the
// same order everywhere: a file quantizes to the same bytes on every machine.
#ifndef TILEWRIGHT_FORMATS_FIT_H
#define TILEWRIGHT_FORMATS_FIT_H

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "bits.h"

namespace tw {
namespace {

typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

static inline f32x4 splat(float x) {
  return f32x4{x, x, x, x};
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
static inline f32x4 where(i32x4 mask, f32x4 value) {
  return reinterpret_cast<f32x4>(mask & reinterpret_cast<i32x4>(value));
}

static inline f32x4 select(i32x4 mask, f32x4 yes, f32x4 no) {
  return reinterpret_cast<f32x4>((mask & reinterpret_cast<i32x4>(yes)) | (~mask & reinterpret_cast<i32x4>(no)));
}

static inline bool any(i32x4 mask) {
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
}

static inline float magnitude(float x) {
  return x < 0.0f ? -x : x;
}

/// A code book: the values that a scale multiplies, from kLow to kHigh. `nearest` maps to the closest of them.
template <int kLowest, int kHighest>
struct Uniform {
  static constexpr float kLow = kLowest;
  static constexpr float kHigh = kHighest;
  static f32x4 nearest(f32x4 v) { return round4(clamp4(v, kLow, kHigh)); }
};

/// IQ4's values lie so that the middles between neighbours are whole multiples of 1/2: a table over half steps is
/// exact. Entry i is the nearest value for v in [i/2 - 127, i/2 - 126.5).
struct Iq4Nearest {
  float value[481];
  constexpr Iq4Nearest() : value() {
    int code = 0;
    for (int i = 0; i < 481; ++i) {
      while (code < 15 && i - 254 >= kIq4Values[code] + kIq4Values[code + 1]) ++code;
      value[i] = kIq4Values[code];
    }
  }
};
static constexpr Iq4Nearest kIq4Nearest{};

struct Iq4Book {
  static constexpr float kLow = -127;
  static constexpr float kHigh = 113;
  static f32x4 nearest(f32x4 v) {
    const f32x4 at = (clamp4(v, kLow, kHigh) + splat(127.0f)) * splat(2.0f);
    const float* value = kIq4Nearest.value;
    return f32x4{value[static_cast<int>(at[0])], value[static_cast<int>(at[1])], value[static_cast<int>(at[2])],
                 value[static_cast<int>(at[3])]};
  }
};

struct E2m1Book {
  static constexpr float kLow = -12;
  static constexpr float kHigh = 12;
  static f32x4 nearest(f32x4 v) {
    const f32x4 size = select(v < splat(0.0f), -v, v);
    f32x4 value = splat(0.0f);
    for (int i = 1; i < 8; ++i) {
      const float step = static_cast<float>(kE2m1Doubled[i] - kE2m1Doubled[i - 1]);
      value += where(size > splat(static_cast<float>(kE2m1Doubled[i]) - 0.5f * step), splat(step));
    }
    return select(v < splat(0.0f), -value, value);
  }
};

/// 1 / scale, and 0 for 0: a scale of 0 gives residuals x - offset.
static inline f32x4 inverse_of(f32x4 scale) {
  return where(scale != splat(0.0f), splat(1.0f) / scale);
}

/// Sums over a group with residuals r = x - offset - scale * q, q the nearest codes; a candidate in each lane.
struct Residuals {
  f32x4 rr, r, rq, q, qq;
};

template <class Book>
static inline Residuals measure(const float* x, int n, f32x4 scale, f32x4 offset) {
  const f32x4 inverse = inverse_of(scale);
  const f32x4 zero = splat(0.0f);
  Residuals sums = {zero, zero, zero, zero, zero};
  for (int i = 0; i < n; ++i) {
    const f32x4 y = splat(x[i]) - offset;
    const f32x4 q = Book::nearest(y * inverse);
    const f32x4 r = y - scale * q;
    sums.rr += r * r;
    sums.r += r;
    sums.rq += r * q;
    sums.q += q;
    sums.qq += q * q;
  }
  return sums;
}

/// The nearest codes themselves; n is a multiple of four.
template <class Book>
static inline void quantize_codes(const float* x, int n, float scale, float offset, int8_t* q) {
  const f32x4 inverse = inverse_of(splat(scale));
  for (int i = 0; i < n; i += 4) {
    const f32x4 v = {x[i], x[i + 1], x[i + 2], x[i + 3]};
    const f32x4 code = Book::nearest((v - splat(offset)) * inverse);
    for (int j = 0; j < 4; ++j) q[i + j] = static_cast<int8_t>(code[j]);
  }
}

static inline float sum_of_squares(const float* x, int n) {
  float sum = 0.0f;
  for (int i = 0; i < n; ++i) sum += x[i] * x[i];
  return sum;
}

/// The weight of largest magnitude, with its sign.
static inline float peak(const float* x, int n) {
  float max = 0.0f;
  for (int i = 0; i < n; ++i)
    if (magnitude(x[i]) > magnitude(max)) max = x[i];
  return max;
}

struct Range {
  float low, high;
};

static inline Range range_of(const float* x, int n) {
  Range range = {x[0], x[0]};
  for (int i = 1; i < n; ++i) {
    range.low = x[i] < range.low ? x[i] : range.low;
    range.high = x[i] > range.high ? x[i] : range.high;
  }
  return range;
}

/// Below this magnitude every weight is nearer to 0 than to the smallest half (2^-24), the least step there is.
static constexpr float kNegligible = 0x1p-26f;

/// An error solved for from residuals is uncertain by about this part of their squares. Candidates closer than that
/// count as equal, and the earlier stays: groups that a lattice fits exactly then all choose the same one of its
/// multiples, which is what a common factor needs.
static constexpr float kTie = 0x1p-22f;

/// The same for errors that have been measured, relative to the sum of squares of the weights; and what is left of an
/// exact fit in the worst case, where the offset is much larger than the weights.
static constexpr float kNoise = 0x1p-44f;
static constexpr float kRounding = 0x1p-38f;

static inline int least_lane(f32x4 error, float noise) {
  int least = 0;
  for (int lane = 1; lane < 4; ++lane)
    if (error[lane] < error[least] - noise) least = lane;
  return least;
}

/// x ≈ scale * q + offset; the error is the sum of squares, the spread how fast it grows with the scale's square (the
/// offset following, if it is free).
struct Fit {
  float scale, offset, error, spread;
};

/// The candidates of a search put the extreme weights on points `step` apart, from `outside` beyond the ends of the
/// code book (where they are clipped) to `inside`, in units of codes. Further in, a few whole codes are tried, and
/// taken if they are exact: solving moves an end by less than that, so weights decoded from a fit lead back to it.
struct Search {
  float inside, outside, step;
};
static constexpr float kWholeCodes = 4.0f;
static constexpr float kExact = 0x1p-18f;

/// The best scale for x ≈ scale * q.
template <class Book>
static inline Fit fit_scale(const float* x, int n, const Search& search) {
  const float total = sum_of_squares(x, n);
  const float max = peak(x, n);
  if (magnitude(max) < kNegligible) return {0.0f, 0.0f, total, 0.0f};
  f32x4 best = splat(0.0f);
  f32x4 error = splat(total);
  f32x4 spread = best;
  const auto consider = [&](f32x4 scale, float bound) {
    const Residuals m = measure<Book>(x, n, scale, splat(0.0f));
    const f32x4 step = where(m.qq > splat(0.0f), m.rq / m.qq);
    const f32x4 solved = m.rr - m.rq * step;
    const i32x4 better = (solved < error - splat(kTie) * m.rr) & (solved <= splat(bound));
    best = select(better, scale + step, best);
    error = select(better, solved, error);
    spread = select(better, m.qq, spread);
    return any(better);
  };
  constexpr bool kTwoEnds = Book::kLow < 0.0f;
  const f32x4 lane = {0.0f, 1.0f, 2.0f, 3.0f};
  for (float at = search.outside; at >= -search.inside - kWholeCodes && at > 1.0f - Book::kHigh;) {
    const bool within = at > -search.inside;
    const float step = within || search.step > 1.0f ? search.step : 1.0f;
    const f32x4 ends = kTwoEnds
                           ? f32x4{Book::kLow - at, Book::kHigh + at, Book::kLow - at + step, Book::kHigh + at - step}
                           : splat(Book::kHigh + at) - splat(step) * lane;
    consider(where(ends != splat(0.0f), splat(max) / ends), within ? total : kExact * total);
    at -= (kTwoEnds ? 2.0f : 4.0f) * step;
  }
  for (int i = 0; i < 4 && consider(best, total); ++i) {
  }
  const int least = least_lane(error, kNoise * total);
  return {best[least], 0.0f, error[least], spread[least]};
}

/// The best scale and offset for x ≈ scale * q + offset, q in 0..kHighest; each end of the range has its own
/// candidates.
template <int kHighest>
static inline Fit fit_affine(const float* x, int n, const Search& search) {
  using Book = Uniform<0, kHighest>;
  const Range range = range_of(x, n);
  const float width = range.high - range.low;
  const float middle = 0.5f * (range.low + range.high);
  f32x4 scale = splat(0.0f);
  f32x4 offset = splat(middle);
  f32x4 spread = scale;
  float constant_error = 0.0f;
  for (int i = 0; i < n; ++i) constant_error += (x[i] - middle) * (x[i] - middle);
  f32x4 error = splat(constant_error);
  if (width < kNegligible) return {0.0f, middle, constant_error, 0.0f};
  const f32x4 count = splat(static_cast<float>(n));
  const auto consider = [&](f32x4 s, f32x4 o) {
    const Residuals m = measure<Book>(x, n, s, o);
    const f32x4 determinant = count * m.qq - m.q * m.q;
    const i32x4 solvable = determinant > splat(0.0f);
    const f32x4 ds = where(solvable, (count * m.rq - m.q * m.r) / determinant);
    const f32x4 dof = where(solvable, (m.qq * m.r - m.q * m.rq) / determinant);
    const f32x4 solved = m.rr - ds * m.rq - dof * m.r;
    const i32x4 better = solvable & (solved < error - splat(kTie) * m.rr);
    scale = select(better, s + ds, scale);
    offset = select(better, o + dof, offset);
    error = select(better, solved, error);
    spread = select(better, determinant / count, spread);
    return any(better);
  };
  for (float a = search.outside; a >= -search.inside; a -= search.step)
    for (float b = search.outside; b >= -search.inside; b -= 4.0f * search.step) {
      const f32x4 ends = splat(b) - splat(search.step) * f32x4{0.0f, 1.0f, 2.0f, 3.0f};
      const f32x4 s = splat(width) / (splat(static_cast<float>(kHighest) + a) + ends);
      consider(s, splat(range.low) + splat(a) * s);
    }
  const float used = static_cast<float>(kHighest - static_cast<int>(2.0f * search.inside));
  for (float below = 0.0f; below <= kWholeCodes; below += 4.0f) {
    const f32x4 whole = splat(used - below) - f32x4{0.0f, 1.0f, 2.0f, 3.0f};
    consider(splat(width) / clamp4(whole, 1.0f, static_cast<float>(kHighest)), splat(range.low));
  }
  for (int i = 0; i < 5 && consider(scale, offset); ++i) {
  }
  const int lane = least_lane(error, kNoise * sum_of_squares(x, n));
  Fit fit = {scale[lane], offset[lane], error[lane], spread[lane]};
  // Codes that leave 0 unused can move down with the offset moved up. Groups of equal range then have equal offsets.
  const float unused = fit.scale > 0.0f ? Book::nearest(splat((range.low - fit.offset) / fit.scale))[0] : 0.0f;
  const float moved = fit.offset + unused * fit.scale;
  if ((moved < 0.0f) == (fit.offset < 0.0f)) fit.offset = moved;
  return fit;
}

}  // namespace
}  // namespace tw

#endif
