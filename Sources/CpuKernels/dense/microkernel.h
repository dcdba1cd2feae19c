// The one f32 GEMM microkernel: a register tile of kTileRows x (kTileVectors * kLanes) sums. Each step of k loads a
// vector row of the column panel and broadcasts one element of every row of the row panel.
#pragma once

#include "pack.h"

namespace tw {
namespace TW_ISA {
namespace {

// As many sums as the register file holds beside the column vectors and a broadcast.
#if defined(__AVX512F__)
constexpr int kTileRows = 14, kTileVectors = 2;  // 28 + 2 + 1 of 32
#elif defined(__AVX2__)
constexpr int kTileRows = 6, kTileVectors = 2;  // 12 + 2 + 1 of 16
#elif defined(TW_NEON)
constexpr int kTileRows = 10, kTileVectors = 2;  // 20 + 4 x 2 + 2 of 32
#else
constexpr int kTileRows = 4, kTileVectors = 2;  // 8 + 2 + 1 of 16, and a product before it is added
#endif
constexpr int64_t kTileColumns = kTileVectors * kLanes;

#if defined(TW_NEON)
/// Four steps of k: multiply-adds take their factor from a lane, so one load of a row serves four of them.
template <int kRows, int kVectors>
inline void multiply_four(const float* rows, const float* columns, F32 (&sum)[kRows][kVectors]) {
  float32x4_t column[4][kVectors];
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) column[k][j] = vld1q_f32(columns + (k * kVectors + j) * kLanes);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
    const float32x4_t row = vld1q_f32(rows + i * kKBlock);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) {
      float32x4_t x = (float32x4_t)sum[i][j];
      x = vfmaq_laneq_f32(x, column[0][j], row, 0);
      x = vfmaq_laneq_f32(x, column[1][j], row, 1);
      x = vfmaq_laneq_f32(x, column[2][j], row, 2);
      sum[i][j] = (F32)vfmaq_laneq_f32(x, column[3][j], row, 3);
    }
    // Without it, compilers load all rows at once, for which there are no registers.
    if (i % 2 == 1) asm volatile("" ::: "memory");
  }
}
#endif

/// c[i * ldc + j] (+)= sum over k of rows[i * kKBlock + k] * columns[k * (kVectors * kLanes) + j].
/// @param add  add to c instead of overwriting it
template <int kRows, int kVectors>
__attribute__((noinline)) void multiply_tile(int64_t count, const float* rows, const float* columns, float* c,
                                             int64_t ldc, bool add) {
  F32 sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) sum[i][j] = F32{};
  }
  int64_t k = 0;
#if defined(TW_NEON)
#pragma GCC unroll 1
  for (; k + 4 <= count; k += 4) multiply_four(rows + k, columns + k * (kVectors * kLanes), sum);
#endif
#pragma GCC unroll 1
  for (; k < count; k++) {
    F32 column[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) column[j] = load(columns + (k * kVectors + j) * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; i++) {
      const F32 row = splat(rows[i * kKBlock + k]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; j++) sum[i][j] = fma(row, column[j], sum[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) {
      float* to = c + i * ldc + j * kLanes;
      store(to, add ? sum[i][j] + load(to) : sum[i][j]);
    }
  }
}

using MultiplyTile = void (*)(int64_t, const float*, const float*, float*, int64_t, bool);

/// multiply_tile for `rows` rows and `vectors` vectors of columns.
template <int kRows = kTileRows>
inline MultiplyTile select_tile(int64_t rows, int64_t vectors) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return select_tile<kRows - 1>(rows, vectors);
  }
  if constexpr (kTileVectors > 2) {
    if (vectors > 2) return multiply_tile<kRows, 3>;
  }
  return vectors > 1 ? multiply_tile<kRows, 2> : multiply_tile<kRows, 1>;
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
