// What workgroups that share tiles of a GEMM along k left in working space, added up: always in the same order. With
// the epilogue of all matmuls.
#include "common/batch.h"
#include "common/epilogue.h"
#include "generated/hip_gemm_sum.h"

namespace tw {

/// Four neighbours of a row of every share, in vectors where rows begin at multiples of them.
TW_DEVICE f32x4 add_shares(const float* from, u64 stride, u32 splits, u32 count, bool vectors) {
  f32x4 sum = {};
  _Pragma("unroll 4") for (u32 i = 0; i < splits; i++, from += stride) {
    if (vectors) {
      sum += *(const f32x4*)from;
    } else {
      TW_UNROLL for (u32 c = 0; c < 4; c++) sum[c] += c < count ? from[c] : 0.0f;
    }
  }
  return sum;
}

}  // namespace tw

TW_KERNEL(256) gemm_sum(TW_HIP_GEMM_SUM_ARGUMENTS) {
  using namespace tw;
  const u32 n = (block_x() * 256 + thread_x()) * 4, m = block_y(), z = block_z();
  if (n >= p.n) return;
  const u32 width = p.gate != 0 ? 2 * p.n : p.n, count = p.n - n;
  const u64 stride = u64(p.m) * width;
  const float* from = (const float*)sums + (u64(z) * p.splits * p.m + m) * width + n;
  const bool vectors = p.n % 4 == 0;
  const f32x4 sum = add_shares(from, stride, p.splits, count, vectors);
  f32x4 side = {};
  if (p.gate != 0) side = add_shares(from + p.n, stride, p.splits, count, vectors);
  out += batch_offset(p.batch, p.out_batch, z) * dtype_bytes(p.out_dtype);
  if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, z) * dtype_bytes(p.residual_dtype);
  TW_UNROLL for (u32 c = 0; c < 4; c++) {
    if (c < count) store_output(p, out, bias, residual, gate_bias, p.gate != 0, m, n + c, sum[c], side[c]);
  }
}
