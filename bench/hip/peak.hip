// What the matrix unit gives when nothing else is asked of it: products of bfloat16 from registers, in a loop.
// Compiled like the kernels: bench/hip/gemm.cpp divides by its rate.
#include "common/mma16.h"

/// 2 * 16^3 * `tiles` operations per wave and turn.
extern "C" __attribute__((global, launch_bounds(256))) void peak_bf16(float* out, tw::u32 turns) {
  enum : tw::u32 { tiles = 8 };
  const tw::u32 t = tw::thread_x();
  const tw::u32x4 a = {t, t + 1, t + 2, t + 3}, b = {t + 4, t + 5, t + 6, t + 7};
  tw::Mma16::Sums sums[tiles] = {};
  for (tw::u32 turn = 0; turn < turns; turn++) {
    TW_UNROLL for (tw::u32 i = 0; i < tiles; i++) sums[i] = tw::Mma16::bf16(a, b, sums[i]);
  }
  float sum = 0.0f;
  TW_UNROLL for (tw::u32 i = 0; i < tiles; i++) {
    TW_UNROLL for (tw::u32 s = 0; s < tw::Mma16::sums; s++) sum += sums[i][s];
  }
  out[tw::block_x() * 256 + t] = sum;
}
