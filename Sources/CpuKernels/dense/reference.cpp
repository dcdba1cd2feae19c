// The oracle of the matmul family: float64 throughout, one rounding at the end, every dtype, format, stride and
// epilogue by the shortest code.
#include <math.h>

#include "kernels.h"
#include "operand.h"

namespace tw {
namespace TW_ISA {
namespace {

double load_double(const void* base, tw_u32 dtype, int64_t index) {
  if (dtype == TW_DTYPE_I32) return static_cast<const int32_t*>(base)[index];
  return static_cast<double>(load_element(base, dtype, index));
}

/// Towards zero, and odd if inexact: rounding that to a narrower float rounds the double itself only once.
float round_to_odd(double value) {
  float rounded = static_cast<float>(value);
  if (!(fabs(static_cast<double>(rounded)) < HUGE_VAL)) {
    if (!(fabs(value) < HUGE_VAL)) return rounded;  // infinite or NaN itself
    return value > 0 ? 0x1.fffffep127f : -0x1.fffffep127f;
  }
  if (static_cast<double>(rounded) == value) return rounded;
  uint32_t bits = f32_bits(rounded);
  if (fabs(static_cast<double>(rounded)) > fabs(value)) bits -= 1;
  return f32_from_bits(bits | 1);
}

void store_double(void* base, tw_u32 dtype, int64_t index, double value) {
  switch (dtype) {
    case TW_DTYPE_F32:
      static_cast<float*>(base)[index] = static_cast<float>(value);
      return;
    case TW_DTYPE_F16:
    case TW_DTYPE_BF16:
      store_element(base, dtype, index, round_to_odd(value));
      return;
    default: {
      const double low = dtype == TW_DTYPE_I8 ? -128.0 : -2147483648.0;
      const double high = dtype == TW_DTYPE_I8 ? 127.0 : 2147483647.0;
      const double whole = value == value ? rint(value < low ? low : value > high ? high : value) : 0.0;
      if (dtype == TW_DTYPE_I8) {
        static_cast<int8_t*>(base)[index] = static_cast<int8_t>(whole);
      } else {
        static_cast<int32_t*>(base)[index] = static_cast<int32_t>(whole);
      }
    }
  }
}

double activate_double(tw_u32 activation, double x) {
  switch (activation) {
    case TW_ACT_RELU:
      return x > 0 || x != x ? x : 0.0;
    case TW_ACT_SILU:
      return x / (1.0 + ::exp(-x));
    case TW_ACT_GELU:
      return x / (1.0 + ::exp(-2.0 * 0.79788456080286535588 * x * (1.0 + 0.044715 * x * x)));
    case TW_ACT_GELU_ERF:
      return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case TW_ACT_GELU_QUICK:
      return x / (1.0 + ::exp(-1.702 * x));
    case TW_ACT_SIGMOID:
      return 1.0 / (1.0 + ::exp(-x));
    case TW_ACT_TANH:
      return ::tanh(x);
    default:
      return x;
  }
}

/// A row of weights in float64; a quantized one as its decode gives it.
void read_row_double(const Operand& x, int64_t row, int64_t k, double* out, float* decoded) {
  if (x.quantized()) {
    with_format(x.type, [&](auto format) {
      using F = decltype(format);
      for (int64_t at = 0; at < k; at += F::kBlock) {
        F::decode(*block_at<F>(x, row, at), decoded);
        for (int i = 0; i < F::kBlock; i++) out[at + i] = static_cast<double>(decoded[i]);
      }
    });
    return;
  }
  const Affine& affine = x.affine;
  for (int64_t i = 0; i < k; i++) {
    const double q = load_double(x.base, x.type, row * x.row_stride + i * x.k_stride);
    if (!affine.any()) {
      out[i] = q;
      continue;
    }
    const int64_t group = affine.group > 0 ? i / affine.group : 0;
    const double scale = static_cast<double>(Affine::at(affine.scale, affine.scale_stride, row, group, 1.0f));
    const double zero = static_cast<double>(Affine::at(affine.zero, affine.zero_stride, row, group, 0.0f));
    out[i] =
        scale * (q - zero) + static_cast<double>(Affine::at(affine.offset, affine.offset_stride, row, group, 0.0f));
  }
}

}  // namespace

void matmul_reference(const Launch& launch, Pool& pool) {
  const MatmulView view(launch);
  const tw_matmul_params& p = view.p;
  // Scratch of a thread: a row of b, a row of the gate, one decoded block.
  constexpr int64_t kBlock = 256;
  pool.reserve_scratch(static_cast<size_t>(2 * p.k) * sizeof(double) + kBlock * sizeof(float));
  pool.parallel_for(view.batches() * p.n, 1, [&](int64_t index, int thread) {
    const MatmulProblem problem = view.problem(index / p.n);
    const int64_t n = index % p.n;
    double* b = static_cast<double*>(pool.scratch(thread));
    double* gate = b + p.k;
    float* decoded = reinterpret_cast<float*>(gate + p.k);
    read_row_double(b_operand(view, problem), n, p.k, b, decoded);
    if (view.gated()) read_row_double(gate_operand(view, problem), n, p.k, gate, decoded);
    const tw_u32 activation = view.constants[TW_MATMUL_CONST_ACTIVATION];
    const auto bias_of = [&](int buffer, int64_t stride) {
      const void* bias = view.buffers[buffer];
      return bias == nullptr ? 0.0 : load_double(bias, view.constants[TW_MATMUL_CONST_BIAS_DTYPE], n * stride);
    };
    for (int64_t m = 0; m < p.m; m++) {
      double sum = 0;
      double gate_sum = 0;
      for (int64_t k = 0; k < p.k; k++) {
        const double x = load_double(problem.a, view.a_dtype(), m * p.a_stride[0] + k * p.a_stride[1]);
        sum += x * b[k];
        if (view.gated()) gate_sum += x * gate[k];
      }
      double value = static_cast<double>(p.alpha) * sum + bias_of(TW_MATMUL_BUF_BIAS, p.bias_stride);
      if (view.gated()) {
        value *= activate_double(activation, gate_sum + bias_of(TW_MATMUL_BUF_GATE_BIAS, p.gate_bias_stride));
      } else {
        value = activate_double(activation, value);
      }
      if (problem.residual != nullptr) {
        value +=
            static_cast<double>(p.beta) * load_double(problem.residual, view.constants[TW_MATMUL_CONST_RESIDUAL_DTYPE],
                                                      m * p.residual_stride[0] + n * p.residual_stride[1]);
      }
      store_double(problem.out, view.out_dtype(), m * p.out_stride[0] + n * p.out_stride[1], value);
    }
  });
}

}  // namespace TW_ISA
}  // namespace tw
