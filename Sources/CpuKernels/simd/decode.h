// Block-quantized weights to floats, bit for bit as formats/*.h decode them: the codes are unpacked to bytes (the
// compiler vectorises those loops), then scaled a vector at a time, each operation rounded once.
#pragma once

#include "../formats/formats.h"
#include "f32.h"

namespace tw {
namespace TW_ISA {
namespace {

template <class F>
inline void decode_block(const typename F::Block& block, float* out) {
  int8_t q[F::kBlock];
  float scale[F::kBlock / F::kGroup];
  float min[F::kBlock / F::kGroup];
  F::codes(block, q, scale, min);
  for (int g = 0; g < F::kBlock / F::kGroup; g++) {
    const F32 s = splat(scale[g]);
#pragma GCC unroll 8
    for (int i = g * F::kGroup; i < (g + 1) * F::kGroup; i += kLanes) {
      const F32 w = s * to_f32(widen_i8(q + i) - F::kZero);
      if constexpr (F::kHasMin) {
        store(out + i, w - splat(min[g]));
      } else {
        store(out + i, w);
      }
    }
  }
}

template <class F>
inline void decode_blocks(const void* blocks, int64_t count, float* out) {
  const typename F::Block* block = static_cast<const typename F::Block*>(blocks);
  for (int64_t i = 0; i < count; i++) decode_block<F>(block[i], out + i * F::kBlock);
}

/// Calls `use(Format{})` with the format of that id.
template <class Use>
inline void with_format(tw_u32 format, const Use& use) {
  switch (format) {
#define TW_CASE(F) \
  case F::kId:     \
    return use(F{});
    TW_FOR_EACH_FORMAT(TW_CASE)
#undef TW_CASE
    default:
      return;
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
