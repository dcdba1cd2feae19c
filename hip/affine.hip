// Rows of integer weights to f32: scale * (q - zero) + offset, step by step as the CPU's kernels compute it, with one
// entry of each per row and group of weights. Weights of any dtype and strides; what is null is left out.
#include "common/numbers.h"
#include "generated/hip_affine.h"

TW_KERNEL(256) affine(TW_HIP_AFFINE_ARGUMENTS) {
  using namespace tw;
  const u32 k = block_x() % p.blocks * 256 + thread_x(), n = block_x() / p.blocks;
  if (k >= p.k) return;
  const u32 group = k / p.group;
  const auto entry = [&](const u8* from, const i64 stride[2]) __attribute__((always_inline)) {
    return ((const float*)from)[i64(n) * stride[0] + i64(group) * stride[1]];
  };
  float w = load_number(src, p.src_dtype, i64(n) * p.src_stride[0] + i64(k) * p.src_stride[1]);
  if (zero != nullptr) w -= entry(zero, p.zero_stride);
  if (scale != nullptr) w *= entry(scale, p.scale_stride);
  if (offset != nullptr) w += entry(offset, p.offset_stride);
  ((float*)dst)[i64(n) * p.k + k] = w;
}
