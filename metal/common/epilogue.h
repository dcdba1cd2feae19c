// out = act(alpha * sum + bias) + beta * residual, or (alpha * sum + bias) * act(gate_sum + gate_bias) + beta *
// residual. Every matmul kernel ends here, one output at a time. Include after generated/matmul.h.
#pragma once
#include "memory.h"

namespace tw {

/// The exponential's argument is kept finite: no infinity appears, whatever the math mode.
METAL_FUNC float sigmoid(float x) {
  return 1.0f / (1.0f + exp(clamp(-x, -88.0f, 88.0f)));
}

/// Abramowitz and Stegun 7.1.26: absolute error below 1.5e-7.
METAL_FUNC float erf(float x) {
  const float t = 1.0f / (1.0f + 0.3275911f * abs(x));
  const float poly =
      t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  return copysign(1.0f - poly * exp(-min(x * x, 80.0f)), x);
}

METAL_FUNC float activate(uint activation, float x) {
  switch (activation) {
    case TW_ACT_RELU:
      return x < 0.0f ? 0.0f : x;  // a NaN stays
    case TW_ACT_SILU:
      return x * sigmoid(x);
    case TW_ACT_GELU:
      return x * sigmoid(1.5957691216f * x * (1.0f + 0.044715f * x * x));
    case TW_ACT_GELU_ERF:
      return 0.5f * x * (1.0f + erf(x * 0.70710678f));
    case TW_ACT_GELU_QUICK:
      return x * sigmoid(1.702f * x);
    case TW_ACT_SIGMOID:
      return sigmoid(x);
    case TW_ACT_TANH:
      return tanh(x);
    default:
      return x;
  }
}

/// Buffers and batch entry of a launch, as the epilogue needs them.
struct Epilogue {
  device uchar* out;
  device const uchar* bias;
  device const uchar* residual;
  device const uchar* gate_bias;

  void store(constant tw_matmul_params& p, uint m, uint n, float sum, float gate_sum) const thread {
    float value = p.alpha * sum;
    if (has_bias) value += load_element(bias, fc_bias_dtype, long(n) * p.bias_stride);
    if (has_gate) {
      float side = gate_sum;
      if (has_gate_bias) side += load_element(gate_bias, fc_bias_dtype, long(n) * p.gate_bias_stride);
      value *= activate(fc_activation, side);
    } else {
      value = activate(fc_activation, value);
    }
    if (has_residual) {
      const long at = long(m) * p.residual_stride[0] + long(n) * p.residual_stride[1];
      value += p.beta * load_element(residual, fc_residual_dtype, at);
    }
    store_element(out, fc_out_dtype, long(m) * p.out_stride[0] + long(n) * p.out_stride[1], value);
  }
};

METAL_FUNC Epilogue make_epilogue(constant tw_matmul_params& p, device uchar* out, device const uchar* bias,
                                  device const uchar* residual, device const uchar* gate_bias, ulong entry) {
  Epilogue e;
  e.out = out + batch_offset(p.batch, p.out_batch, entry) * long(dtype_bytes(fc_out_dtype));
  e.bias = bias;
  e.gate_bias = gate_bias;
  e.residual = residual;
  if (has_residual) e.residual += batch_offset(p.batch, p.residual_batch, entry) * long(dtype_bytes(fc_residual_dtype));
  return e;
}

}  // namespace tw
