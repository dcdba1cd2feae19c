// out = act(alpha * sum + bias) + beta * residual, or (alpha * sum + bias) * act(gate_sum + gate_bias) + beta * residual.
// Every matmul kernel ends here, a row segment at a time.
#pragma once

#include <cmath>

#include "matmul_view.h"

namespace tw {
namespace TW_ISA {
namespace {

inline float activate(tw_u32 activation, float x) {
  switch (activation) {
    case TW_ACT_RELU: return x > 0 ? x : (x == x ? 0.0f : x);
    case TW_ACT_SILU: return x / (1.0f + std::exp(-x));
    case TW_ACT_GELU: return 0.5f * x * (1.0f + std::tanh(0.7978845608028654f * x * (1.0f + 0.044715f * x * x)));
    case TW_ACT_GELU_ERF: return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case TW_ACT_GELU_QUICK: return x / (1.0f + std::exp(-1.702f * x));
    case TW_ACT_SIGMOID: return 1.0f / (1.0f + std::exp(-x));
    case TW_ACT_TANH: return std::tanh(x);
    default: return x;
  }
}

class Epilogue {
 public:
  explicit Epilogue(const MatmulView& view) : v_(view) {}

  /// Finish `count` outputs of row `m` from column `n`.
  /// @param sums       sums over k, one per column
  /// @param gate_sums  the gate's sums, or null when the launch has no gate
  void store(const MatmulProblem& problem, int64_t m, int64_t n, int64_t count, const float* sums,
             const float* gate_sums) const {
    const tw_matmul_params& p = v_.p;
    const tw_u32 activation = v_.constants[TW_MATMUL_CONST_ACTIVATION];
    const tw_u32 bias_dtype = v_.constants[TW_MATMUL_CONST_BIAS_DTYPE];
    const void* bias = v_.buffers[TW_MATMUL_BUF_BIAS];
    const void* gate_bias = v_.buffers[TW_MATMUL_BUF_GATE_BIAS];
    for (int64_t i = 0; i < count; i++) {
      const int64_t column = n + i;
      float value = p.alpha * sums[i];
      if (bias != nullptr) value += load_element(bias, bias_dtype, column * p.bias_stride);
      if (gate_sums != nullptr) {
        float gate = gate_sums[i];
        if (gate_bias != nullptr) gate += load_element(gate_bias, bias_dtype, column * p.gate_bias_stride);
        value *= activate(activation, gate);
      } else {
        value = activate(activation, value);
      }
      if (problem.residual != nullptr) {
        value += p.beta * load_element(problem.residual, v_.constants[TW_MATMUL_CONST_RESIDUAL_DTYPE],
                                       m * p.residual_stride[0] + column * p.residual_stride[1]);
      }
      store_element(problem.out, v_.out_dtype(), m * p.out_stride[0] + column * p.out_stride[1], value);
    }
  }

 private:
  const MatmulView& v_;
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
