// The running maximum and sum of a softmax. The sentinel is finite: no infinity is computed with, whatever the math
// mode.
#pragma once
#include <metal_stdlib>

using namespace metal;

namespace tw {

constant float kLowest = -3.402823466e+38f;

/// exp of a difference that is not above 0; differences that underflow anyway are cut off, a NaN is not.
METAL_FUNC float exp_down(float x) {
  return exp(x < -104.0f ? -104.0f : x);
}
/// Weight of a logit: one that is masked (or not there) has none.
METAL_FUNC float weight(float x, float maximum) {
  return x <= kLowest ? 0.0f : exp_down(x - maximum);
}

struct Running {
  float maximum;
  float sum;
};

METAL_FUNC Running running_nothing() {
  Running r;
  r.maximum = kLowest;
  r.sum = 0.0f;
  return r;
}

/// Two running sums as one. A NaN stays in the sum.
METAL_FUNC Running merge(Running a, Running b) {
  Running r;
  r.maximum = max(a.maximum, b.maximum);
  r.sum = 0.0f;
  if (a.sum != 0.0f) r.sum += a.sum * exp_down(a.maximum - r.maximum);
  if (b.sum != 0.0f) r.sum += b.sum * exp_down(b.maximum - r.maximum);
  return r;
}

/// Four more logits.
METAL_FUNC Running add_four(Running r, float4 x) {
  Running next;
  next.maximum = max(r.maximum, max(max(x.x, x.y), max(x.z, x.w)));
  next.sum =
      weight(x.x, next.maximum) + weight(x.y, next.maximum) + weight(x.z, next.maximum) + weight(x.w, next.maximum);
  if (r.sum != 0.0f) next.sum += r.sum * exp_down(r.maximum - next.maximum);
  return next;
}

METAL_FUNC Running merge_lanes(Running r) {
  const float maximum = simd_max(r.maximum);
  Running all;
  float scaled = 0.0f;
  if (r.sum != 0.0f) scaled = r.sum * exp_down(r.maximum - maximum);
  all.maximum = maximum;
  all.sum = simd_sum(scaled);
  return all;
}

}  // namespace tw
