// A matmul launch seen as one problem per batch entry: base pointers and the epilogue that turns sums into outputs.
#pragma once

#include "kernel.h"
#include "simd/convert.h"

namespace tw {
namespace TW_ISA {
namespace {

/// One batch entry of a matmul launch.
struct MatmulProblem {
  const char *a, *b, *gate, *residual;
  char* out;
};

struct MatmulView {
  const tw_matmul_params& p;
  const tw_u32* constants;
  void* const* buffers;

  explicit MatmulView(const Launch& launch)
      : p(launch.as<tw_matmul_params>()), constants(launch.constants), buffers(launch.buffers) {}

  tw_u32 a_dtype() const { return constants[TW_MATMUL_CONST_A_DTYPE]; }
  tw_u32 b_dtype() const { return constants[TW_MATMUL_CONST_B_DTYPE]; }
  tw_u32 out_dtype() const { return constants[TW_MATMUL_CONST_OUT_DTYPE]; }
  bool quantized() const { return b_dtype() >= TW_FORMAT_Q4_0; }
  /// Sizes and threads that the launch asks for; 0: the kernel's own rules. Kernels bring them into their range.
  int64_t threads() const { return constants[TW_MATMUL_CONST_THREADS]; }
  int64_t block_rows() const { return constants[TW_MATMUL_CONST_BLOCK_ROWS]; }
  int64_t block_columns() const { return constants[TW_MATMUL_CONST_BLOCK_COLUMNS]; }
  int64_t block_depth() const { return constants[TW_MATMUL_CONST_BLOCK_DEPTH]; }
  bool gated() const { return buffers[TW_MATMUL_BUF_GATE] != nullptr; }
  int64_t batches() const { return p.batch[0] * p.batch[1] * p.batch[2] * p.batch[3]; }

  /// @param index  0 .. batches() - 1; the last batch dimension varies fastest
  MatmulProblem problem(int64_t index) const {
    int64_t at[4];
    for (int d = 3; d >= 0; d--) {
      at[d] = index % p.batch[d];
      index /= p.batch[d];
    }
    const auto offset = [&](const tw_i64(&stride)[4]) {
      return at[0] * stride[0] + at[1] * stride[1] + at[2] * stride[2] + at[3] * stride[3];
    };
    const int64_t a_bytes = dtype_bytes(a_dtype());
    // Block-quantized weights have byte strides.
    const int64_t b_bytes = quantized() ? 1 : dtype_bytes(b_dtype());
    MatmulProblem problem{};
    problem.a = at_byte(buffers[TW_MATMUL_BUF_A], offset(p.a_batch) * a_bytes);
    problem.b = at_byte(buffers[TW_MATMUL_BUF_B], offset(p.b_batch) * b_bytes);
    problem.gate = at_byte(buffers[TW_MATMUL_BUF_GATE], offset(p.gate_batch) * b_bytes);
    problem.residual = at_byte(buffers[TW_MATMUL_BUF_RESIDUAL],
                               offset(p.residual_batch) * dtype_bytes(constants[TW_MATMUL_CONST_RESIDUAL_DTYPE]));
    problem.out = at_byte(buffers[TW_MATMUL_BUF_OUT], offset(p.out_batch) * dtype_bytes(out_dtype()));
    return problem;
  }

 private:
  static char* at_byte(void* base, int64_t bytes) {
    return base == nullptr ? nullptr : static_cast<char*>(base) + bytes;
  }
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
