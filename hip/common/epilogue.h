// out = act(alpha * sum + bias) + beta * residual, or (alpha * sum + bias) * act(gate_sum + gate_bias) + beta *
// residual. The activation and all dtypes are parameters: a few scalar branches once per output cost nothing beside the
// loop over k, and every instance serves them all.
#pragma once
#include "memory.h"

namespace tw {

/// e^x; 0 and infinity beyond the range, NaN of NaN.
TW_DEVICE float fast_exp(float x) {
  return fast_exp2(x * 1.44269504f);
}
/// 1 / (1 + e^-x), 0 where the exponential is infinite.
TW_DEVICE float sigmoid(float x) {
  return fast_rcp(1.0f + fast_exp(-x));
}
/// Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7.
TW_DEVICE float error_function(float x) {
  const float t = fast_rcp(1.0f + 0.3275911f * absolute(x));
  const float poly =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return __builtin_copysignf(1.0f - poly * fast_exp(-minimum(x * x, 80.0f)), x);
}
/// Both ends of the range keep their relative precision.
TW_DEVICE float hyperbolic_tangent(float x) {
  const float square = x * x;
  if (absolute(x) < 0.25f) {
    return x * (1.0f + square * (-0.333333333f +
                                 square * (0.133333333f + square * (-0.0539682540f + square * 0.0218694885f))));
  }
  return 2.0f * sigmoid(2.0f * x) - 1.0f;
}

TW_DEVICE float activate(u32 activation, float x) {
  if (activation == TW_ACT_NONE) return x;
  if (activation == TW_ACT_RELU) return x < 0.0f ? 0.0f : x;  // a NaN stays
  if (activation == TW_ACT_GELU_ERF) return 0.5f * x * (1.0f + error_function(x * 0.70710678f));
  if (activation == TW_ACT_TANH) return hyperbolic_tangent(x);
  float at = x;
  if (activation == TW_ACT_GELU) at = 1.5957691216f * x * (1.0f + 0.044715f * x * x);
  if (activation == TW_ACT_GELU_QUICK) at = 1.702f * x;
  const float s = sigmoid(at);
  return activation == TW_ACT_SIGMOID ? s : x * s;
}

/// One output. `P` is a parameter struct with the fields of HIP_EPILOGUE_PARAMS (ts/kernels/hip/matmul.ts); pointers
/// are those of the batch entry, null where absent.
template <class P>
TW_DEVICE void store_output(const P& p, u8* out, const u8* bias, const u8* residual, const u8* gate_bias, bool has_gate,
                            u32 m, u32 n, float sum, float gate_sum) {
  float value = p.alpha * sum;
  if (bias != nullptr) value += load_float(bias, p.bias_dtype, i64(n) * p.bias_stride);
  if (has_gate) {
    if (gate_bias != nullptr) gate_sum += load_float(gate_bias, p.bias_dtype, i64(n) * p.gate_bias_stride);
    value *= activate(p.activation, gate_sum);
  } else {
    value = activate(p.activation, value);
  }
  if (residual != nullptr) {
    const i64 at = i64(m) * p.residual_stride[0] + i64(n) * p.residual_stride[1];
    value += p.beta * load_float(residual, p.residual_dtype, at);
  }
  store_float(out, p.out_dtype, i64(m) * p.out_stride[0] + i64(n) * p.out_stride[1], value);
}

}  // namespace tw
