// Byte vectors for AVX-512 (F, BW, VL, DQ): four quads.
#pragma once

#include <immintrin.h>

namespace tw {
namespace TW_ISA {
namespace {

inline __m128i load_quad(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

inline Bytes load_quads(const uint8_t* p, int64_t stride) {
  __m512i x = _mm512_castsi128_si512(load_quad(p));
  x = _mm512_inserti32x4(x, load_quad(p + stride), 1);
  x = _mm512_inserti32x4(x, load_quad(p + 2 * stride), 2);
  return (Bytes)_mm512_inserti32x4(x, load_quad(p + 3 * stride), 3);
}

inline Bytes splat_quad(const void* p) {
  return (Bytes)_mm512_broadcast_i32x4(load_quad(p));
}

inline Bytes zip32_low(Bytes a, Bytes b) {
  return (Bytes)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b);
}
inline Bytes zip32_high(Bytes a, Bytes b) {
  return (Bytes)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b);
}
inline Bytes zip64_low(Bytes a, Bytes b) {
  return (Bytes)_mm512_unpacklo_epi64((__m512i)a, (__m512i)b);
}
inline Bytes zip64_high(Bytes a, Bytes b) {
  return (Bytes)_mm512_unpackhi_epi64((__m512i)a, (__m512i)b);
}
template <int n>
inline Bytes rotate_dwords(Bytes x) {
  constexpr int order = ((4 - n) & 3) | ((5 - n) & 3) << 2 | ((6 - n) & 3) << 4 | ((7 - n) & 3) << 6;
  return (Bytes)_mm512_shuffle_epi32((__m512i)x, static_cast<_MM_PERM_ENUM>(order));
}
inline Bytes swap_dwords(Bytes x) {
  return (Bytes)_mm512_shuffle_epi32((__m512i)x, static_cast<_MM_PERM_ENUM>(0xb1));
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)_mm512_shuffle_epi8((__m512i)table, (__m512i)index);
}

/// columns[i] = rows' dword i, stored at dst + offset[i].
inline void transpose_dwords(const uint8_t* src, int64_t src_stride, uint8_t* dst, const int32_t* offset) {
  __m512i r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(src + i * src_stride);
    // 4x4 transposes within the quads: t[4g + c] holds dword c (mod 4) of rows 4g..4g+3, a quad per four columns.
#pragma GCC unroll 4
  for (int g = 0; g < 4; g++) {
    const __m512i ab_low = _mm512_unpacklo_epi32(r[4 * g], r[4 * g + 1]);
    const __m512i ab_high = _mm512_unpackhi_epi32(r[4 * g], r[4 * g + 1]);
    const __m512i cd_low = _mm512_unpacklo_epi32(r[4 * g + 2], r[4 * g + 3]);
    const __m512i cd_high = _mm512_unpackhi_epi32(r[4 * g + 2], r[4 * g + 3]);
    t[4 * g + 0] = _mm512_unpacklo_epi64(ab_low, cd_low);
    t[4 * g + 1] = _mm512_unpackhi_epi64(ab_low, cd_low);
    t[4 * g + 2] = _mm512_unpacklo_epi64(ab_high, cd_high);
    t[4 * g + 3] = _mm512_unpackhi_epi64(ab_high, cd_high);
  }
  // Then a 4x4 transpose of whole quads: column 4q + c is quad q of t[c], t[4 + c], t[8 + c], t[12 + c].
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const __m512i even_low = _mm512_shuffle_i32x4(t[c], t[4 + c], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(t[c], t[4 + c], 0xdd);
    const __m512i even_high = _mm512_shuffle_i32x4(t[8 + c], t[12 + c], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(t[8 + c], t[12 + c], 0xdd);
    _mm512_storeu_si512(dst + offset[0 + c], _mm512_shuffle_i32x4(even_low, even_high, 0x88));
    _mm512_storeu_si512(dst + offset[4 + c], _mm512_shuffle_i32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_si512(dst + offset[8 + c], _mm512_shuffle_i32x4(even_low, even_high, 0xdd));
    _mm512_storeu_si512(dst + offset[12 + c], _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd));
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
