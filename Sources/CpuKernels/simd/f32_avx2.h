// F32 and I32 for AVX2 with FMA and F16C.
#pragma once

#include <immintrin.h>

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kLanes = 8;
typedef float F32 __attribute__((vector_size(32)));
typedef int32_t I32 __attribute__((vector_size(32)));

/// All ones in the first n lanes.
inline __m256i first(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

inline F32 load(const float* p) {
  return _mm256_loadu_ps(p);
}
inline F32 load_n(const float* p, int64_t n) {
  return _mm256_maskload_ps(p, first(n));
}
inline void store(float* p, F32 x) {
  _mm256_storeu_ps(p, x);
}
inline void store_n(float* p, F32 x, int64_t n) {
  _mm256_maskstore_ps(p, first(n), x);
}

/// Eight 16-bit elements, of which the first n are read.
inline __m128i load_halves_n(const uint16_t* p, int64_t n) {
  uint16_t whole[8] = {};
  memcpy(whole, p, static_cast<size_t>(n) * 2);
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(whole));
}
inline void store_halves_n(uint16_t* p, __m128i x, int64_t n) {
  uint16_t whole[8];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(whole), x);
  memcpy(p, whole, static_cast<size_t>(n) * 2);
}

inline F32 load_f16(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline F32 load_f16_n(const uint16_t* p, int64_t n) {
  return _mm256_cvtph_ps(load_halves_n(p, n));
}
inline void store_f16(uint16_t* p, F32 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
inline void store_f16_n(uint16_t* p, F32 x, int64_t n) {
  store_halves_n(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), n);
}

inline F32 widen_bf16(__m128i h) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
}
inline F32 load_bf16(const uint16_t* p) {
  return widen_bf16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline F32 load_bf16_n(const uint16_t* p, int64_t n) {
  return widen_bf16(load_halves_n(p, n));
}
/// Round to nearest even; NaNs keep their top bits and become quiet.
inline __m128i narrow_bf16(F32 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i top = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
}
inline void store_bf16(uint16_t* p, F32 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow_bf16(x));
}
inline void store_bf16_n(uint16_t* p, F32 x, int64_t n) {
  store_halves_n(p, narrow_bf16(x), n);
}

inline F32 to_f32(I32 x) {
  return _mm256_cvtepi32_ps((__m256i)x);
}
inline I32 widen_u8(const uint8_t* p) {
  return (I32)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline I32 widen_i8(const int8_t* p) {
  return (I32)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
inline F32 load_i8(const int8_t* p) {
  return to_f32(widen_i8(p));
}
inline F32 load_i8_n(const int8_t* p, int64_t n) {
  int8_t whole[8] = {};
  memcpy(whole, p, static_cast<size_t>(n));
  return load_i8(whole);
}
inline F32 load_i32(const int32_t* p) {
  return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F32 load_i32_n(const int32_t* p, int64_t n) {
  return _mm256_cvtepi32_ps(_mm256_maskload_epi32(p, first(n)));
}

inline F32 fma(F32 a, F32 b, F32 c) {
  return _mm256_fmadd_ps(a, b, c);
}
inline F32 max(F32 a, F32 b) {
  return _mm256_max_ps(a, b);
}
inline F32 min(F32 a, F32 b) {
  return _mm256_min_ps(a, b);
}
/// Two factors: 2^n itself may not be a normal number; the first product is exact, so the second rounds once.
inline F32 scale_by_exponent(F32 p, F32 n) {
  const __m256i whole = _mm256_cvtps_epi32(n);
  const __m256i half = _mm256_srai_epi32(whole, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 one = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 two = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(p, one), two);
}
inline float reduce_add(F32 x) {
  __m128 v = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}
inline float reduce_max(F32 x) {
  __m128 v = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  v = _mm_max_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_movehdup_ps(v)));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
