// Rows of floats on their way to memory: what dequantize and get_rows share.
#pragma once

#include "../simd/decode.h"
#include "../simd/element.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Weights of one piece of a row: with its codes it fits in L1.
constexpr int64_t kPiece = 2048;

template <class Element>
inline void store_run(const float* values, int64_t count, typename Element::T* out, int64_t stride) {
  if (stride != 1) {
    for (int64_t i = 0; i < count; i++) store_element(out, Element::kDtype, i * stride, values[i]);
    return;
  }
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Element::store(out + i, load(values + i));
  if (i < count) Element::store_n(out + i, load_n(values + i, count - i), count - i);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
