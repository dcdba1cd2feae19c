// Byte vectors for AVX2: two quads.
#pragma once

#include <immintrin.h>

namespace tw {
namespace TW_ISA {
namespace {

/// Keeps a value that is used several times in a register: compilers would read memory operands again instead.
inline void keep(Bytes& x) {
  asm("" : "+x"(x));
}

inline Bytes load_quads(const uint8_t* p, int64_t odd, int64_t) {
  return (Bytes)_mm256_set_m128i((__m128i)load_quad(p + odd), (__m128i)load_quad(p));
}
inline Bytes repeat_pair(const uint8_t* p, int) {
  return load_vector(p);
}
inline Bytes splat_quad(Quad q) {
  return (Bytes)_mm256_broadcastsi128_si256((__m128i)q);
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
inline Bytes swap_qwords(Bytes x) {
  return (Bytes)_mm256_shuffle_epi32((__m256i)x, 0x4e);
}

template <class Counts, bool kSwap>
inline Bytes shift_lanes(Bytes x) {
  constexpr LaneCounts<Counts> const& counts = kLaneCounts<Counts>;
  __m256i y = kSwap ? _mm256_shuffle_epi32((__m256i)x, 0xb1) : (__m256i)x;
  if (counts.any_left) y = _mm256_sllv_epi32(y, (__m256i)load_vector(counts.left));
  if (counts.any_right) y = _mm256_srlv_epi32(y, (__m256i)load_vector(counts.right));
  return (Bytes)y;
}

template <int first>
inline Bytes spread_bits(U32 x) {
  constexpr int byte = first / 8 * 0x01010101;
  const __m256i order = _mm256_setr_epi32(byte, byte + 0x04040404, byte + 0x08080808, byte + 0x0c0c0c0c,  //
                                          byte, byte + 0x04040404, byte + 0x08080808, byte + 0x0c0c0c0c);
  const __m256i bits = _mm256_set1_epi32(first % 8 == 0 ? 0x08040201 : static_cast<int>(0x80402010));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8((__m256i)x, order), bits);
  return (Bytes)_mm256_and_si256(_mm256_cmpeq_epi8(spread, bits), _mm256_set1_epi8(16));
}

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (mask & a) | (~mask & b);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)_mm256_shuffle_epi8((__m256i)table, (__m256i)index);
}

inline Quad shuffle(Quad x, Quad order) {
  return (Quad)_mm_shuffle_epi8((__m128i)x, (__m128i)order);
}
inline I32 widen_u8(Quad x) {
  return (I32)_mm256_cvtepu8_epi32((__m128i)x);
}
inline I32 widen_i8(Quad x) {
  return (I32)_mm256_cvtepi8_epi32((__m128i)x);
}

TW_INLINE F32 lanes_f16(const uint8_t* p, int64_t stride) {
  __m128i x = _mm_cvtsi32_si128(read<uint16_t>(p));
  x = _mm_insert_epi16(x, read<int16_t>(p + stride), 1);
  x = _mm_insert_epi16(x, read<int16_t>(p + 2 * stride), 2);
  x = _mm_insert_epi16(x, read<int16_t>(p + 3 * stride), 3);
  x = _mm_insert_epi16(x, read<int16_t>(p + 4 * stride), 4);
  x = _mm_insert_epi16(x, read<int16_t>(p + 5 * stride), 5);
  x = _mm_insert_epi16(x, read<int16_t>(p + 6 * stride), 6);
  return _mm256_cvtph_ps(_mm_insert_epi16(x, read<int16_t>(p + 7 * stride), 7));
}
TW_INLINE U32 lanes_u32(const uint8_t* p, int64_t stride) {
  U32 x{};
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) x[i] = read<uint32_t>(p + i * stride);
  return x;
}
TW_INLINE I32 lanes_u8(const uint8_t* p, int64_t stride) {
  Quad x{};
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) x[i] = p[i * stride];
  return widen_u8(x);
}
inline I32 gather_bytes(Quad x, Bytes order) {
  return (I32)lookup(splat_quad(x), order);
}
inline F32 splat_f16(const uint8_t* p) {
  return _mm256_cvtph_ps(_mm_set1_epi16(read<int16_t>(p)));
}
inline F32 halves_f16(const uint8_t* p, int64_t) {
  return splat_f16(p);
}
inline F32 pairs_f16(const uint8_t* p, int64_t) {
  return halves_f16(p, 0);
}
inline F32 halves_f32(const uint8_t* p, int64_t) {
  return splat(read<float>(p));
}
inline F32 narrow_f16(U32 x) {
  const __m256i low = _mm256_and_si256((__m256i)x, _mm256_set1_epi32(0xffff));
  return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
