// Byte vectors for AVX-512 (F, BW, VL, DQ): four quads.
#pragma once

#include <immintrin.h>

namespace tw {
namespace TW_ISA {
namespace {

/// Keeps a value that is used several times in a register: compilers would read memory operands again instead.
inline void keep(Bytes& x) {
  asm("" : "+v"(x));
}

inline Bytes load_quads(const uint8_t* p, int64_t odd, int64_t pair) {
  __m512i x = _mm512_castsi128_si512((__m128i)load_quad(p));
  x = _mm512_inserti32x4(x, (__m128i)load_quad(p + odd), 1);
  x = _mm512_inserti32x4(x, (__m128i)load_quad(p + pair), 2);
  return (Bytes)_mm512_inserti32x4(x, (__m128i)load_quad(p + pair + odd), 3);
}
inline Bytes repeat_pair(const uint8_t* p, int) {
  return (Bytes)_mm512_broadcast_i64x4(read<__m256i>(p));
}
inline Bytes splat_quad(Quad q) {
  return (Bytes)_mm512_broadcast_i32x4((__m128i)q);
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
inline Bytes swap_qwords(Bytes x) {
  return (Bytes)_mm512_shuffle_epi32((__m512i)x, static_cast<_MM_PERM_ENUM>(0x4e));
}

/// Bit offsets within the qword of every byte.
template <class Counts, bool kSwap>
struct ShiftControl {
  alignas(64) uint8_t offset[64] = {};
  constexpr ShiftControl() {
    for (int i = 0; i < 64; i++) {
      const int lane = i / 4;
      const int source = kSwap ? lane ^ 1 : lane;
      offset[i] = static_cast<uint8_t>((32 * (source % 2) + 8 * (i % 4) + Counts::at(lane)) & 63);
    }
  }
};
template <class Counts, bool kSwap>
constexpr ShiftControl<Counts, kSwap> kShiftControl{};
template <class Counts, bool kSwap>
inline Bytes shift_lanes(Bytes x) {
  return (Bytes)_mm512_multishift_epi64_epi8((__m512i)load_vector(kShiftControl<Counts, kSwap>.offset), (__m512i)x);
}

template <int first>
struct SpreadControl {
  alignas(64) uint8_t offset[64] = {};
  constexpr SpreadControl() {
    for (int i = 0; i < 64; i++) offset[i] = static_cast<uint8_t>((32 * (i / 4 % 2) + first + i % 4 - 4) & 63);
  }
};
template <int first>
constexpr SpreadControl<first> kSpreadControl{};
template <int first>
inline Bytes spread_bits(U32 x) {
  return (Bytes)_mm512_multishift_epi64_epi8((__m512i)load_vector(kSpreadControl<first>.offset), (__m512i)x) & 16;
}

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (Bytes)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)a, (__m512i)b, 0xca);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)_mm512_shuffle_epi8((__m512i)table, (__m512i)index);
}

inline Quad shuffle(Quad x, Quad order) {
  return (Quad)_mm_shuffle_epi8((__m128i)x, (__m128i)order);
}
inline I32 widen_u8(Quad x) {
  return (I32)_mm512_cvtepu8_epi32((__m128i)x);
}
inline I32 widen_i8(Quad x) {
  return (I32)_mm512_cvtepi8_epi32((__m128i)x);
}

/// By way of general registers: 16 insertions into vectors would queue for the ports between them and memory.
TW_INLINE uint64_t four_halves(const uint8_t* p, int64_t stride) {
  const uint64_t low = read<uint16_t>(p) | static_cast<uint64_t>(read<uint16_t>(p + stride)) << 16;
  const uint64_t high = read<uint16_t>(p + 2 * stride) | static_cast<uint64_t>(read<uint16_t>(p + 3 * stride)) << 16;
  return low | high << 32;
}
TW_INLINE F32 lanes_f16(const uint8_t* p, int64_t stride) {
  const int64_t step = 4 * stride;
  const __m128i low =
      _mm_set_epi64x(static_cast<int64_t>(four_halves(p + step, stride)), static_cast<int64_t>(four_halves(p, stride)));
  const __m128i high = _mm_set_epi64x(static_cast<int64_t>(four_halves(p + 3 * step, stride)),
                                      static_cast<int64_t>(four_halves(p + 2 * step, stride)));
  return _mm512_cvtph_ps(_mm256_set_m128i(high, low));
}
TW_INLINE __m128i four_dwords(const uint8_t* p, int64_t stride) {
  __m128i x = _mm_cvtsi32_si128(read<int32_t>(p));
  x = _mm_insert_epi32(x, read<int32_t>(p + stride), 1);
  x = _mm_insert_epi32(x, read<int32_t>(p + 2 * stride), 2);
  return _mm_insert_epi32(x, read<int32_t>(p + 3 * stride), 3);
}
TW_INLINE U32 lanes_u32(const uint8_t* p, int64_t stride) {
  const __m256i low = _mm256_set_m128i(four_dwords(p + 4 * stride, stride), four_dwords(p, stride));
  const __m256i high = _mm256_set_m128i(four_dwords(p + 12 * stride, stride), four_dwords(p + 8 * stride, stride));
  return (U32)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
TW_INLINE I32 lanes_u8(const uint8_t* p, int64_t stride) {
  Quad x{};
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) x[i] = p[i * stride];
  return widen_u8(x);
}
inline I32 gather_bytes(Quad x, Bytes order) {
  return (I32)lookup(splat_quad(x), order);
}
inline F32 splat_f16(const uint8_t* p) {
  return _mm512_broadcastss_ps(_mm_cvtph_ps(_mm_set1_epi16(read<int16_t>(p))));
}
inline F32 halves_f16(const uint8_t* p, int64_t stride) {
  return _mm512_cvtph_ps(_mm256_set_m128i(_mm_set1_epi16(read<int16_t>(p + stride)), _mm_set1_epi16(read<int16_t>(p))));
}
inline F32 pairs_f16(const uint8_t* p, int64_t stride) {
  return _mm512_cvtph_ps(
      _mm256_blend_epi32(_mm256_set1_epi16(read<int16_t>(p)), _mm256_set1_epi16(read<int16_t>(p + stride)), 0xaa));
}
inline F32 halves_f32(const uint8_t* p, int64_t stride) {
  return _mm512_insertf32x8(_mm512_set1_ps(read<float>(p)), _mm256_set1_ps(read<float>(p + stride)), 1);
}
inline F32 narrow_f16(U32 x) {
  return _mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)x));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
