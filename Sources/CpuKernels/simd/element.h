// Element types of plain tensors as template arguments: how kLanes of them become an F32 and back.
#pragma once

#include <tilewright/params.h>

#include "convert.h"
#include "f32.h"

namespace tw {
namespace TW_ISA {
namespace {

struct ElementF32 {
  using T = float;
  static constexpr tw_u32 kDtype = TW_DTYPE_F32;
  static F32 load(const T* p) { return TW_ISA::load(p); }
  static F32 load_n(const T* p, int64_t n) { return TW_ISA::load_n(p, n); }
  static void store(T* p, F32 x) { TW_ISA::store(p, x); }
  static void store_n(T* p, F32 x, int64_t n) { TW_ISA::store_n(p, x, n); }
};

struct ElementF16 {
  using T = uint16_t;
  static constexpr tw_u32 kDtype = TW_DTYPE_F16;
  static F32 load(const T* p) { return load_f16(p); }
  static F32 load_n(const T* p, int64_t n) { return load_f16_n(p, n); }
  static void store(T* p, F32 x) { store_f16(p, x); }
  static void store_n(T* p, F32 x, int64_t n) { store_f16_n(p, x, n); }
};

struct ElementBF16 {
  using T = uint16_t;
  static constexpr tw_u32 kDtype = TW_DTYPE_BF16;
  static F32 load(const T* p) { return load_bf16(p); }
  static F32 load_n(const T* p, int64_t n) { return load_bf16_n(p, n); }
  static void store(T* p, F32 x) { store_bf16(p, x); }
  static void store_n(T* p, F32 x, int64_t n) { store_bf16_n(p, x, n); }
};

/// Stores to integers saturate lane by lane: rare, so not vectorised.
template <class Integer, tw_u32 kType>
struct ElementInteger {
  using T = Integer;
  static constexpr tw_u32 kDtype = kType;
  static void store_n(T* p, F32 x, int64_t n) {
    float lanes[kLanes];
    TW_ISA::store(lanes, x);
    for (int64_t i = 0; i < n; i++) store_element(p, kType, i, lanes[i]);
  }
  static void store(T* p, F32 x) { store_n(p, x, kLanes); }
};

struct ElementI8 : ElementInteger<int8_t, TW_DTYPE_I8> {
  static F32 load(const T* p) { return load_i8(p); }
  static F32 load_n(const T* p, int64_t n) { return load_i8_n(p, n); }
};

struct ElementI32 : ElementInteger<int32_t, TW_DTYPE_I32> {
  static F32 load(const T* p) { return load_i32(p); }
  static F32 load_n(const T* p, int64_t n) { return load_i32_n(p, n); }
};

/// Calls `use(Element{})` with the element type of `dtype`.
template <class Use>
inline void with_element(tw_u32 dtype, const Use& use) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return use(ElementF32{});
    case TW_DTYPE_F16:
      return use(ElementF16{});
    case TW_DTYPE_BF16:
      return use(ElementBF16{});
    case TW_DTYPE_I8:
      return use(ElementI8{});
    default:
      return use(ElementI32{});
  }
}

template <class Use>
inline void with_float_element(tw_u32 dtype, const Use& use) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return use(ElementF32{});
    case TW_DTYPE_F16:
      return use(ElementF16{});
    default:
      return use(ElementBF16{});
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
