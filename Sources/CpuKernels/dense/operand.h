// One matrix of a matmul as rows along k, whatever it is stored as: any dtype and strides, affine integers or quantized
// blocks. `read_row` turns a piece of a row into floats; packers and the general GEMV path are built on it.
#pragma once

#include "../matmul_view.h"
#include "../simd/decode.h"
#include "../simd/element.h"

namespace tw {
namespace TW_ISA {
namespace {

/// w = scale * (q - zero) + offset, one of each per row and group of weights; a null pointer stands for 1, 0, 0.
struct Affine {
  const float *scale, *zero, *offset;
  const tw_i64 *scale_stride, *zero_stride, *offset_stride;
  int64_t group;

  bool any() const { return scale != nullptr || zero != nullptr || offset != nullptr; }
  static float at(const float* values, const tw_i64* stride, int64_t row, int64_t group, float absent) {
    return values == nullptr ? absent : values[row * stride[0] + group * stride[1]];
  }
};

struct Operand {
  const char* base;
  tw_u32 type;         // dtype or format
  int64_t row_stride;  // elements; bytes for a format
  int64_t k_stride;    // elements; unused for a format
  Affine affine;

  bool quantized() const { return type >= TW_FORMAT_Q4_0; }
  bool k_contiguous() const { return quantized() || k_stride == 1; }
  bool row_contiguous() const { return !quantized() && row_stride == 1; }
};

inline Operand a_operand(const MatmulView& view, const MatmulProblem& problem) {
  return {problem.a, view.a_dtype(), view.p.a_stride[0], view.p.a_stride[1], {}};
}

inline Operand b_operand(const MatmulView& view, const MatmulProblem& problem) {
  const tw_matmul_params& p = view.p;
  const auto* scale = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_SCALE]);
  const auto* zero = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_ZERO]);
  const auto* offset = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_OFFSET]);
  return {problem.b,
          view.b_dtype(),
          p.b_stride[0],
          p.b_stride[1],
          {scale, zero, offset, p.scale_stride, p.zero_stride, p.offset_stride, p.group}};
}

inline Operand gate_operand(const MatmulView& view, const MatmulProblem& problem) {
  const tw_matmul_params& p = view.p;
  const auto* scale = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_GATE_SCALE]);
  const auto* zero = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_GATE_ZERO]);
  const auto* offset = static_cast<const float*>(view.buffers[TW_MATMUL_BUF_GATE_OFFSET]);
  return {problem.gate,
          view.b_dtype(),
          p.gate_stride[0],
          p.gate_stride[1],
          {scale, zero, offset, p.gate_scale_stride, p.gate_zero_stride, p.gate_offset_stride, p.group}};
}

/// The quantized row's block that holds weight `k`, a multiple of the block size.
template <class F>
inline const typename F::Block* block_at(const Operand& x, int64_t row, int64_t k) {
  return reinterpret_cast<const typename F::Block*>(x.base + row * x.row_stride) + k / F::kBlock;
}

/// q becomes scale * (q - zero) + offset in place, group by group.
inline void apply_affine(const Affine& affine, int64_t row, int64_t k0, int64_t count, float* values) {
  for (int64_t i = 0; i < count;) {
    const int64_t group = affine.group > 0 ? (k0 + i) / affine.group : 0;
    const int64_t end = affine.group > 0 ? min_of(count, (group + 1) * affine.group - k0) : count;
    const F32 scale = splat(Affine::at(affine.scale, affine.scale_stride, row, group, 1.0f));
    const F32 zero = splat(Affine::at(affine.zero, affine.zero_stride, row, group, 0.0f));
    const F32 offset = splat(Affine::at(affine.offset, affine.offset_stride, row, group, 0.0f));
    for (; i + kLanes <= end; i += kLanes) store(values + i, fma(scale, load(values + i) - zero, offset));
    if (i < end) store_n(values + i, fma(scale, load_n(values + i, end - i) - zero, offset), end - i);
    i = end;
  }
}

/// Weights k0 .. k0 + count - 1 of a row as floats. For a format both are multiples of its block size.
inline void read_row(const Operand& x, int64_t row, int64_t k0, int64_t count, float* out) {
  if (x.quantized()) {
    with_format(x.type, [&](auto format) {
      using F = decltype(format);
      decode_blocks<F>(block_at<F>(x, row, k0), count / F::kBlock, out);
    });
    return;
  }
  with_element(x.type, [&](auto element) {
    using T = typename decltype(element)::T;
    const T* p = reinterpret_cast<const T*>(x.base) + row * x.row_stride + k0 * x.k_stride;
    if (x.k_stride == 1) {
      int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) store(out + i, element.load(p + i));
      if (i < count) store_n(out + i, element.load_n(p + i, count - i), count - i);
    } else {
      for (int64_t i = 0; i < count; i++) out[i] = load_element(p, element.kDtype, i * x.k_stride);
    }
  });
  if (x.affine.any()) apply_affine(x.affine, row, k0, count, out);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
