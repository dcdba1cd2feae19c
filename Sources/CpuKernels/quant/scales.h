// What unpackers of several formats have in common: transposition, packed scales of super-blocks, code books.
#pragma once

#include "unpack.h"

namespace tw {
namespace TW_ISA {
namespace {

/// t[i] = dword i of the 16 bytes of every lane: lane 4c + r is at p + r * stride + (c % 2) * odd + (c / 2) * pair.
TW_INLINE void transpose_quads(const uint8_t* p, int64_t stride, int64_t odd, int64_t pair, Bytes* t) {
  const Bytes x0 = load_quads(p, odd, pair);
  const Bytes x1 = load_quads(p + stride, odd, pair);
  const Bytes x2 = load_quads(p + 2 * stride, odd, pair);
  const Bytes x3 = load_quads(p + 3 * stride, odd, pair);
  const Bytes low01 = zip32_low(x0, x1);
  const Bytes low23 = zip32_low(x2, x3);
  const Bytes high01 = zip32_high(x0, x1);
  const Bytes high23 = zip32_high(x2, x3);
  t[0] = zip64_low(low01, low23);
  t[1] = zip64_high(low01, low23);
  t[2] = zip64_low(high01, high23);
  t[3] = zip64_high(high01, high23);
}

/// As e8m0_half_to_f32: 2^(e - 128), which is subnormal below e = 2.
TW_INLINE F32 e8m0_half(I32 e) {
  const I32 subnormal = e < 2;
  return from_bits((subnormal & ((e + 1) << 21)) | (~subnormal & ((e - 1) << 23)));
}

struct Scales6 {
  uint64_t scales, mins;  // a byte per group
};
/// Q4_K's and Q5_K's 12 bytes, as unpack_scales_mins_6.
TW_INLINE Scales6 scales_mins_6(const uint8_t* p) {
  const uint32_t a = read<uint32_t>(p);
  const uint32_t b = read<uint32_t>(p + 4);
  const uint32_t c = read<uint32_t>(p + 8);
  const uint32_t scales_high = (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030);
  const uint32_t mins_high = (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030);
  return {(a & 0x3f3f3f3f) | static_cast<uint64_t>(scales_high) << 32,
          (b & 0x3f3f3f3f) | static_cast<uint64_t>(mins_high) << 32};
}
/// Q3_K's 12 bytes, as unpack_scales_6.
TW_INLINE Quad scales_6(const uint8_t* p) {
  const uint64_t low = read<uint64_t>(p);
  const uint64_t top = read<uint32_t>(p + 8);
  const uint64_t top_first = (top << 4 & 0x30303030) | (top << 2 & 0x30303030) << 32;
  const uint64_t top_last = (top & 0x30303030) | (top >> 2 & 0x30303030) << 32;
  constexpr uint64_t nibbles = 0x0f0f0f0f0f0f0f0f;
  return make_quad((low & nibbles) | top_first, (low >> 4 & nibbles) | top_last);
}
/// IQ4_XS's scales, from scales_h (two bits each) and scales_l (four).
TW_INLINE uint64_t iq4_xs_scales(const uint8_t* p) {
  uint64_t high = read<uint16_t>(p);
  high = (high | high << 24) & 0x000000ff000000ff;
  high = (high | high << 12) & 0x000f000f000f000f;
  high = (high | high << 6) & 0x0303030303030303;
  uint64_t low = read<uint32_t>(p + 2);
  low = (low | low << 16) & 0x0000ffff0000ffff;
  low = (low | low << 8) & 0x00ff00ff00ff00ff;
  low = (low | low << 4) & 0x0f0f0f0f0f0f0f0f;
  return low | high << 4;
}

/// The 16 entries of a code book in every quad, as stored codes.
template <class F>
TW_INLINE Bytes code_book(const int8_t (&values)[16]) {
  Quad book;
  for (int i = 0; i < 16; i++) book[i] = static_cast<uint8_t>(values[i] + Stored<F>::kOffset);
  return splat_quad(book);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
