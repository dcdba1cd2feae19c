// out = act(alpha * sum + bias) + beta * residual, or (alpha * sum + bias) * act(gate_sum + gate_bias) + beta *
// residual. Every matmul kernel ends here, a row segment at a time.
//
// Error of the activations themselves, against float64 (u = 2^-24, one rounding):
//   relu           exact
//   sigmoid, tanh  as simd/math.h states
//   silu           6u |y|, and below 1.3e-36 absolute where sigmoid underflows (x < -87)
//   gelu           x * sigmoid(z), z = 2u(x): (8 + 8 |z|) u |y|. The argument carries up to 8 roundings (both
//                  constants, x twice in x^2, and the four operations between), and sigmoid's slope, relative to its
//                  value, is at most 1: each becomes a relative error of |z| u. z grows with x^3, so a bound linear in
//                  x does not hold.
//   gelu_quick     8u (1 + |x|) |y|, the same with z = 1.702 x and two roundings
//   gelu_erf       libm's erff: 4u |x|, absolute (1 + erf cancels on the negative side)
#pragma once

#include <math.h>

#include "matmul_view.h"
#include "simd/math.h"
#include "simd/strided.h"

namespace tw {
namespace TW_ISA {
namespace {

inline F32 activate(tw_u32 activation, F32 x) {
  switch (activation) {
    case TW_ACT_RELU:
      return max(splat(0.0f), x);  // max gives x when x is NaN
    case TW_ACT_SILU:
      return x * sigmoid(x);
    case TW_ACT_GELU:
      return x * sigmoid(1.5957691216f * x * (1.0f + 0.044715f * x * x));
    case TW_ACT_GELU_ERF: {
      float lanes[kLanes];
      store(lanes, x);
      for (int i = 0; i < kLanes; i++) lanes[i] = 0.5f * lanes[i] * (1.0f + erff(lanes[i] * 0.70710678f));
      return load(lanes);
    }
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

class Epilogue {
 public:
  explicit Epilogue(const MatmulView& view)
      : v_(view),
        plain_(view.buffers[TW_MATMUL_BUF_BIAS] == nullptr && view.buffers[TW_MATMUL_BUF_RESIDUAL] == nullptr &&
               !view.gated() && view.constants[TW_MATMUL_CONST_ACTIVATION] == TW_ACT_NONE &&
               view.out_dtype() == TW_DTYPE_F32 && view.p.out_stride[1] == 1) {}

  /// Finish `count` outputs of row `m` from column `n`.
  /// @param sums       sums over k, one per column
  /// @param gate_sums  the gate's sums, or null when the launch has no gate
  void store(const MatmulProblem& problem, int64_t m, int64_t n, int64_t count, const float* sums,
             const float* gate_sums) const {
    const tw_matmul_params& p = v_.p;
    if (plain_) {
      float* out = reinterpret_cast<float*>(problem.out) + m * p.out_stride[0] + n;
      int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) TW_ISA::store(out + i, p.alpha * load(sums + i));
      if (i < count) store_n(out + i, p.alpha * load_n(sums + i, count - i), count - i);
      return;
    }
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t rest = count - i;
      const F32 sum = rest >= kLanes ? load(sums + i) : load_n(sums + i, rest);
      F32 gate{};
      if (gate_sums != nullptr) gate = rest >= kLanes ? load(gate_sums + i) : load_n(gate_sums + i, rest);
      finish(problem, m, n + i, rest, sum, gate);
    }
  }

 private:
  void finish(const MatmulProblem& problem, int64_t m, int64_t n, int64_t count, F32 sum, F32 gate) const {
    const tw_matmul_params& p = v_.p;
    const tw_u32* constants = v_.constants;
    const void* bias = v_.buffers[TW_MATMUL_BUF_BIAS];
    const void* gate_bias = v_.buffers[TW_MATMUL_BUF_GATE_BIAS];
    const tw_u32 bias_dtype = constants[TW_MATMUL_CONST_BIAS_DTYPE];
    const tw_u32 activation = constants[TW_MATMUL_CONST_ACTIVATION];
    F32 value = p.alpha * sum;
    if (bias != nullptr) value += load_strided(bias, bias_dtype, n * p.bias_stride, p.bias_stride, count);
    if (v_.gated()) {
      if (gate_bias != nullptr) {
        gate += load_strided(gate_bias, bias_dtype, n * p.gate_bias_stride, p.gate_bias_stride, count);
      }
      value *= activate(activation, gate);
    } else {
      value = activate(activation, value);
    }
    if (problem.residual != nullptr) {
      value += p.beta * load_strided(problem.residual, constants[TW_MATMUL_CONST_RESIDUAL_DTYPE],
                                     m * p.residual_stride[0] + n * p.residual_stride[1], p.residual_stride[1], count);
    }
    store_strided(problem.out, v_.out_dtype(), m * p.out_stride[0] + n * p.out_stride[1], p.out_stride[1], value,
                  count);
  }

  const MatmulView& v_;
  bool plain_;
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
