// Runs of eight plain elements along k, of any dtype and strides.
#pragma once
#include "numbers.h"

namespace tw {

/// A matrix of a batch: rows that are multiplied along k.
struct DenseRows {
  const u8* base;
  i64 row_stride, k_stride;  // elements
  u32 dtype, k;
  /// Eight elements of a row are side by side and aligned to 16 bytes.
  bool vectors;

  static TW_MEMBER DenseRows of(const u8* base, const i64 stride[2], u32 dtype, u32 k) {
    const u32 unit = 16 / dtype_bytes(dtype);
    const bool aligned = (u64)base % 16 == 0 && stride[0] % unit == 0;
    return {base, stride[0], stride[1], dtype, k, stride[1] == 1 && aligned};
  }
  /// Neighbouring lanes follow k, or rows where those lie closer.
  TW_MEMBER bool along_k() const {
    const i64 row = row_stride < 0 ? -row_stride : row_stride, k = k_stride < 0 ? -k_stride : k_stride;
    return k <= row;
  }
  /// Elements k0 to k0 + 7 of a row; zeros past the end.
  TW_MEMBER void load(u32 row, u32 k0, float x[8]) const {
    const i64 at = row * row_stride;
    if (vectors && k0 + 8 <= k) {
      if (dtype == TW_DTYPE_F32) {
        const f32x4* from = (const f32x4*)(base + 4 * (at + k0));
        const f32x4 low = from[0], high = from[1];
        TW_UNROLL for (u32 i = 0; i < 4; i++) x[i] = low[i], x[i + 4] = high[i];
        return;
      }
      const u32x4 v = *(const u32x4*)(base + 2 * (at + k0));
      TW_UNROLL for (u32 i = 0; i < 8; i++) {
        const u32 bits = v[i / 2] >> (16 * (i % 2)) & 0xffffu;
        x[i] = dtype == TW_DTYPE_F16 ? from_f16(bits) : from_bf16(bits);
      }
      return;
    }
    TW_UNROLL for (u32 i = 0; i < 8; i++) {
      x[i] = k0 + i < k ? load_float(base, dtype, at + i64(k0 + i) * k_stride) : 0.0f;
    }
  }
};

}  // namespace tw
