// F32 and I32 for AVX-512 (F, BW, VL, DQ).
#pragma once

// g++ 12 warns of its own headers' deliberately undefined vectors.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kLanes = 16;
typedef float F32 __attribute__((vector_size(64)));
typedef int32_t I32 __attribute__((vector_size(64)));

inline __mmask16 first(int64_t n) {
  return static_cast<__mmask16>((1u << n) - 1u);
}

inline F32 load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline F32 load_n(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(first(n), p);
}
inline void store(float* p, F32 x) {
  _mm512_storeu_ps(p, x);
}
inline void store_n(float* p, F32 x, int64_t n) {
  _mm512_mask_storeu_ps(p, first(n), x);
}

inline F32 load_f16(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F32 load_f16_n(const uint16_t* p, int64_t n) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(n), p));
}
inline void store_f16(uint16_t* p, F32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline void store_f16_n(uint16_t* p, F32 x, int64_t n) {
  _mm256_mask_storeu_epi16(p, first(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

inline F32 widen_bf16(__m256i h) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}
inline F32 load_bf16(const uint16_t* p) {
  return widen_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
inline F32 load_bf16_n(const uint16_t* p, int64_t n) {
  return widen_bf16(_mm256_maskz_loadu_epi16(first(n), p));
}
/// Round to nearest even; NaNs keep their top bits and become quiet.
inline __m256i narrow_bf16(F32 x) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16));
}
inline void store_bf16(uint16_t* p, F32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bf16(x));
}
inline void store_bf16_n(uint16_t* p, F32 x, int64_t n) {
  _mm256_mask_storeu_epi16(p, first(n), narrow_bf16(x));
}

inline F32 to_f32(I32 x) {
  return _mm512_cvtepi32_ps((__m512i)x);
}
inline I32 widen_u8(const uint8_t* p) {
  return (I32)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline I32 widen_i8(const int8_t* p) {
  return (I32)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
inline F32 load_i8(const int8_t* p) {
  return to_f32(widen_i8(p));
}
inline F32 load_i8_n(const int8_t* p, int64_t n) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first(n), p)));
}
inline F32 load_i32(const int32_t* p) {
  return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}
inline F32 load_i32_n(const int32_t* p, int64_t n) {
  return _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(first(n), p));
}

inline F32 fma(F32 a, F32 b, F32 c) {
  return _mm512_fmadd_ps(a, b, c);
}
inline F32 max(F32 a, F32 b) {
  return _mm512_max_ps(a, b);
}
inline F32 min(F32 a, F32 b) {
  return _mm512_min_ps(a, b);
}
inline F32 scale_by_exponent(F32 p, F32 n) {
  return _mm512_scalef_ps(p, n);
}
inline float reduce_add(F32 x) {
  return _mm512_reduce_add_ps(x);
}
inline float reduce_max(F32 x) {
  return _mm512_reduce_max_ps(x);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
