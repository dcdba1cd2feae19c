// Byte vectors for any machine: one quad, by compiler vectors alone.
#pragma once

namespace tw {
namespace TW_ISA {
namespace {

/// columns[i] = rows' dword i, stored at dst + offset[i].
inline void transpose_dwords(const uint8_t* src, int64_t src_stride, uint8_t* dst, const int32_t* offset) {
  for (int column = 0; column < kLanes; column++) {
    for (int row = 0; row < kLanes; row++)
      memcpy(dst + offset[column] + 4 * row, src + row * src_stride + 4 * column, 4);
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
