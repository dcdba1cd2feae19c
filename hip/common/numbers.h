// Numbers of every dtype, integers among them, as f32; and four floats side by side.
#pragma once
#include "memory.h"

namespace tw {

TW_DEVICE float load_number(const u8* base, u32 dtype, i64 index) {
  if (dtype == TW_DTYPE_I8) return float(((const i8*)base)[index]);
  if (dtype == TW_DTYPE_I32) return float(((const i32*)base)[index]);
  return load_float(base, dtype, index);
}
/// To integers: nearest, ties to even, saturated; a NaN is 0.
TW_DEVICE void store_number(u8* base, u32 dtype, i64 index, float x) {
  if (dtype != TW_DTYPE_I8 && dtype != TW_DTYPE_I32) return store_float(base, dtype, index, x);
  if (x != x) x = 0.0f;
  x = __builtin_rintf(x);
  if (dtype == TW_DTYPE_I8) {
    ((i8*)base)[index] = i8(i32(clamp(x, -128.0f, 127.0f)));
  } else {
    // 2^31 - 1 is no float: what is not below 2^31 saturates apart.
    const i32 value = i32(clamp(x, -2147483648.0f, 2147483520.0f));
    ((i32*)base)[index] = x >= 2147483648.0f ? 2147483647 : value;
  }
}

/// Aligned to four elements.
TW_DEVICE void load_four(const u8* base, u32 dtype, i64 index, float x[4]) {
  if (dtype == TW_DTYPE_F32) {
    const f32x4 v = *(const f32x4*)(base + index * 4);
    TW_UNROLL for (u32 i = 0; i < 4; i++) x[i] = v[i];
    return;
  }
  const u32x2 v = *(const u32x2*)(base + index * 2);
  TW_UNROLL for (u32 i = 0; i < 4; i++) {
    const u32 bits = v[i / 2] >> (16 * (i % 2)) & 0xffffu;
    x[i] = dtype == TW_DTYPE_F16 ? from_f16(bits) : from_bf16(bits);
  }
}
TW_DEVICE void store_four(u8* base, u32 dtype, i64 index, const float x[4]) {
  if (dtype == TW_DTYPE_F32) {
    *(f32x4*)(base + index * 4) = f32x4{x[0], x[1], x[2], x[3]};
    return;
  }
  u32 v[2];
  TW_UNROLL for (u32 i = 0; i < 2; i++) {
    const float low = x[2 * i], high = x[2 * i + 1];
    v[i] = dtype == TW_DTYPE_F16 ? to_f16(low) | u32(to_f16(high)) << 16 : to_bf16(low) | u32(to_bf16(high)) << 16;
  }
  *(u32x2*)(base + index * 2) = u32x2{v[0], v[1]};
}

}  // namespace tw
