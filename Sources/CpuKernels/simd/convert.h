// Scalar element access for every dtype: the slow, always-right path of the strided kernels.
#pragma once

#include <tilewright/params.h>

#include <cstdint>

#include "../formats/half.h"

namespace tw {
namespace TW_ISA {
namespace {

inline int64_t dtype_bytes(tw_u32 dtype) {
  return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_I32 ? 4 : dtype == TW_DTYPE_I8 ? 1 : 2;
}

/// Element `index` of an array of `dtype`, as a float (int32 rounds to nearest).
inline float load_element(const void* base, tw_u32 dtype, int64_t index) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return static_cast<const float*>(base)[index];
    case TW_DTYPE_F16:
      return f16_to_f32(static_cast<const uint16_t*>(base)[index]);
    case TW_DTYPE_BF16:
      return bf16_to_f32(static_cast<const uint16_t*>(base)[index]);
    case TW_DTYPE_I8:
      return static_cast<float>(static_cast<const int8_t*>(base)[index]);
    default:
      return static_cast<float>(static_cast<const int32_t*>(base)[index]);
  }
}

/// Round to nearest even and saturate; NaN gives 0. `limit` is exactly representable below the type's bound.
inline int32_t to_integer(float value, float low, float high) {
  if (!(value == value)) return 0;
  if (value <= low) return static_cast<int32_t>(low);
  if (value >= high) return high == 127.0f ? 127 : INT32_MAX;
  return static_cast<int32_t>(__builtin_rintf(value));
}

inline void store_element(void* base, tw_u32 dtype, int64_t index, float value) {
  switch (dtype) {
    case TW_DTYPE_F32:
      static_cast<float*>(base)[index] = value;
      return;
    case TW_DTYPE_F16:
      static_cast<uint16_t*>(base)[index] = f32_to_f16(value);
      return;
    case TW_DTYPE_BF16:
      static_cast<uint16_t*>(base)[index] = f32_to_bf16(value);
      return;
    case TW_DTYPE_I8:
      static_cast<int8_t*>(base)[index] = static_cast<int8_t>(to_integer(value, -128.0f, 127.0f));
      return;
    default:
      static_cast<int32_t*>(base)[index] = to_integer(value, -2147483648.0f, 2147483648.0f);
      return;
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
