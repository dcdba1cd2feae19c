// Up to kLanes elements of any dtype and stride as one vector: the general path of kernels that are not bound by it.
#pragma once

#include "element.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Elements index, index + stride, ... (n of them) of an array of `dtype`; the other lanes are 0 or repeat an element.
inline F32 load_strided(const void* base, tw_u32 dtype, int64_t index, int64_t stride, int64_t n) {
  if (stride == 1) {
    F32 x;
    with_element(dtype, [&](auto element) {
      const auto* p = static_cast<const typename decltype(element)::T*>(base) + index;
      x = n >= kLanes ? element.load(p) : element.load_n(p, n);
    });
    return x;
  }
  if (stride == 0) return splat(load_element(base, dtype, index));
  float lanes[kLanes] = {};
  const int64_t count = min_of(n, kLanes);
  for (int64_t i = 0; i < count; i++) lanes[i] = load_element(base, dtype, index + i * stride);
  return load(lanes);
}

inline void store_strided(void* base, tw_u32 dtype, int64_t index, int64_t stride, F32 x, int64_t n) {
  if (stride == 1) {
    with_element(dtype, [&](auto element) {
      auto* p = static_cast<typename decltype(element)::T*>(base) + index;
      n >= kLanes ? element.store(p, x) : element.store_n(p, x, n);
    });
    return;
  }
  float lanes[kLanes];
  store(lanes, x);
  const int64_t count = min_of(n, kLanes);
  for (int64_t i = 0; i < count; i++) store_element(base, dtype, index + i * stride, lanes[i]);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
