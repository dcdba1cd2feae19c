// Byte vectors for AVX2: two quads.
#pragma once

#include <immintrin.h>

namespace tw {
namespace TW_ISA {
namespace {

inline __m128i load_quad(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}

inline Bytes load_quads(const uint8_t* p, int64_t stride) {
  return (Bytes)_mm256_inserti128_si256(_mm256_castsi128_si256(load_quad(p)), load_quad(p + stride), 1);
}

inline Bytes splat_quad(const void* p) {
  return (Bytes)_mm256_broadcastsi128_si256(load_quad(p));
}

inline Bytes zip32_low(Bytes a, Bytes b) {
  return (Bytes)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b);
}
inline Bytes zip32_high(Bytes a, Bytes b) {
  return (Bytes)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b);
}
inline Bytes zip64_low(Bytes a, Bytes b) {
  return (Bytes)_mm256_unpacklo_epi64((__m256i)a, (__m256i)b);
}
inline Bytes zip64_high(Bytes a, Bytes b) {
  return (Bytes)_mm256_unpackhi_epi64((__m256i)a, (__m256i)b);
}
template <int n>
inline Bytes rotate_dwords(Bytes x) {
  constexpr int order = ((4 - n) & 3) | ((5 - n) & 3) << 2 | ((6 - n) & 3) << 4 | ((7 - n) & 3) << 6;
  return (Bytes)_mm256_shuffle_epi32((__m256i)x, order);
}
inline Bytes swap_dwords(Bytes x) {
  return (Bytes)_mm256_shuffle_epi32((__m256i)x, 0xb1);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)_mm256_shuffle_epi8((__m256i)table, (__m256i)index);
}

/// columns[i] = rows' dword i, stored at dst + offset[i].
inline void transpose_dwords(const uint8_t* src, int64_t src_stride, uint8_t* dst, const int32_t* offset) {
  __m256i r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i * src_stride));
#pragma GCC unroll 2
  for (int g = 0; g < 2; g++) {
    const __m256i ab_low = _mm256_unpacklo_epi32(r[4 * g], r[4 * g + 1]);
    const __m256i ab_high = _mm256_unpackhi_epi32(r[4 * g], r[4 * g + 1]);
    const __m256i cd_low = _mm256_unpacklo_epi32(r[4 * g + 2], r[4 * g + 3]);
    const __m256i cd_high = _mm256_unpackhi_epi32(r[4 * g + 2], r[4 * g + 3]);
    t[4 * g + 0] = _mm256_unpacklo_epi64(ab_low, cd_low);
    t[4 * g + 1] = _mm256_unpackhi_epi64(ab_low, cd_low);
    t[4 * g + 2] = _mm256_unpacklo_epi64(ab_high, cd_high);
    t[4 * g + 3] = _mm256_unpackhi_epi64(ab_high, cd_high);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + offset[c]), _mm256_permute2x128_si256(t[c], t[4 + c], 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + offset[4 + c]),
                        _mm256_permute2x128_si256(t[c], t[4 + c], 0x31));
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
