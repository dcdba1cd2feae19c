// The running maximum and sum of a softmax. The sentinel is finite: no infinity is computed with.
#pragma once
#include "epilogue.h"

namespace tw {

TW_CONSTANT float lowest = -3.402823466e+38f;

/// exp of a difference that is not above 0; differences that underflow anyway are cut off, a NaN is not.
TW_DEVICE float exp_down(float x) {
  return fast_exp(x < -86.0f ? -86.0f : x);
}
/// Weight of a logit: one that is masked (or not there) has none.
TW_DEVICE float weight(float x, float maximum) {
  return x <= lowest ? 0.0f : exp_down(x - maximum);
}

/// The larger number; a NaN is not one.
struct Larger {
  TW_MEMBER float operator()(float a, float b) const { return __builtin_fmaxf(a, b); }
};

struct Running {
  float maximum, sum;

  static TW_MEMBER Running nothing() { return {lowest, 0.0f}; }
  /// Two running sums as one. A NaN stays in the sum.
  TW_MEMBER Running merge(Running other) const {
    Running r = {Larger()(maximum, other.maximum), 0.0f};
    if (sum != 0.0f) r.sum += sum * exp_down(maximum - r.maximum);
    if (other.sum != 0.0f) r.sum += other.sum * exp_down(other.maximum - r.maximum);
    return r;
  }
  /// Four more logits.
  TW_MEMBER Running add(const float x[4]) const {
    const Larger larger;
    Running next = {larger(maximum, larger(larger(x[0], x[1]), larger(x[2], x[3]))), 0.0f};
    TW_UNROLL for (u32 i = 0; i < 4; i++) next.sum += weight(x[i], next.maximum);
    if (sum != 0.0f) next.sum += sum * exp_down(maximum - next.maximum);
    return next;
  }
  /// Of all lanes of the wave.
  TW_MEMBER Running merge_lanes() const {
    const float most = wave_reduce(maximum, Larger());
    return {most, wave_sum(sum != 0.0f ? sum * exp_down(maximum - most) : 0.0f)};
  }
};

}  // namespace tw
