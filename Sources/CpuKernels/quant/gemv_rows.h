// Rows of weights times a few rows of activations: the inner loops of quant_gemv.
#pragma once

#include "activations.h"
#include "group_dot.h"

namespace tw {
namespace TW_ISA {

/// Rows of weights that one task multiplies.
constexpr int kRowBlock = 16;
/// Rows of activations that quant_gemv takes at a time.
constexpr int kMaxColumns = 16;

/// A block of up to kRowBlock rows of weights against `m` rows of activations.
struct RowsJob {
  const uint8_t* b;
  int64_t stride;
  int64_t rows;
  int64_t k;
  /// Records in the order [unit][row of activations].
  const uint8_t* records;
  int64_t m;
  /// [row of activations][kRowBlock]
  float* sums;
};

namespace {

/// acc[r][i] += rows r of w times activation row i, for one unit.
template <class F, int kRows>
TW_INLINE void multiply_unit(const Unit<F> (&w)[kRows], const uint8_t* record, F32 (&acc)[kRows]) {
  using S = Shape<F>;
#pragma GCC unroll 4
  for (int slice = 0; slice < S::kSlices; slice++) {
    const F32 scale = (F32)load_vector(record + S::kSteps * kVectorBytes);
    const Bytes correct = load_vector(record + (S::kSteps + 1) * kVectorBytes);
    const I32 start = F::kHasMin ? I32{} : (I32)correct;
    GroupDot<F> dot[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) dot[r].start(start);
#pragma GCC unroll 8
    for (int step = 0; step < S::kSteps; step++) {
      Bytes a = load_vector(record + step * kVectorBytes);
      if (kRows > 1) keep(a);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; r++) dot[r].add(w[r].codes[slice][step], a, step);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; r++) {
      acc[r] = fma(to_f32(dot[r].total()), w[r].scale[slice] * scale, acc[r]);
      if constexpr (F::kHasMin) acc[r] = fma(w[r].min[slice], (F32)correct, acc[r]);
    }
    record += (S::kSteps + 2) * kVectorBytes;
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
