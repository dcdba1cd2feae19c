// kLanes x kLanes floats, rows to columns.
#pragma once

#include "f32.h"

namespace tw {
namespace TW_ISA {
namespace {

#if defined(__AVX512F__)

inline void transpose_tile(const float* src, int64_t src_stride, float* dst, int64_t dst_stride) {
  __m512 r[16], t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(src + i * src_stride);
    // 4x4 transposes within the 128-bit lanes: t[4g + c] holds column c (mod 4) of rows 4g..4g+3, one lane per 4
    // columns.
#pragma GCC unroll 4
  for (int g = 0; g < 4; g++) {
    const __m512 ab_low = _mm512_unpacklo_ps(r[4 * g], r[4 * g + 1]);
    const __m512 ab_high = _mm512_unpackhi_ps(r[4 * g], r[4 * g + 1]);
    const __m512 cd_low = _mm512_unpacklo_ps(r[4 * g + 2], r[4 * g + 3]);
    const __m512 cd_high = _mm512_unpackhi_ps(r[4 * g + 2], r[4 * g + 3]);
    t[4 * g + 0] = _mm512_shuffle_ps(ab_low, cd_low, 0x44);
    t[4 * g + 1] = _mm512_shuffle_ps(ab_low, cd_low, 0xee);
    t[4 * g + 2] = _mm512_shuffle_ps(ab_high, cd_high, 0x44);
    t[4 * g + 3] = _mm512_shuffle_ps(ab_high, cd_high, 0xee);
  }
  // Then a 4x4 transpose of whole lanes: column 4l + c is lane l of t[c], t[4 + c], t[8 + c], t[12 + c].
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    const __m512 even_low = _mm512_shuffle_f32x4(t[c], t[4 + c], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(t[c], t[4 + c], 0xdd);
    const __m512 even_high = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(t[8 + c], t[12 + c], 0xdd);
    _mm512_storeu_ps(dst + (0 + c) * dst_stride, _mm512_shuffle_f32x4(even_low, even_high, 0x88));
    _mm512_storeu_ps(dst + (4 + c) * dst_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0x88));
    _mm512_storeu_ps(dst + (8 + c) * dst_stride, _mm512_shuffle_f32x4(even_low, even_high, 0xdd));
    _mm512_storeu_ps(dst + (12 + c) * dst_stride, _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd));
  }
}

#elif defined(__AVX2__)

inline void transpose_tile(const float* src, int64_t src_stride, float* dst, int64_t dst_stride) {
  __m256 r[8], t[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(src + i * src_stride);
#pragma GCC unroll 2
  for (int g = 0; g < 2; g++) {
    const __m256 ab_low = _mm256_unpacklo_ps(r[4 * g], r[4 * g + 1]);
    const __m256 ab_high = _mm256_unpackhi_ps(r[4 * g], r[4 * g + 1]);
    const __m256 cd_low = _mm256_unpacklo_ps(r[4 * g + 2], r[4 * g + 3]);
    const __m256 cd_high = _mm256_unpackhi_ps(r[4 * g + 2], r[4 * g + 3]);
    t[4 * g + 0] = _mm256_shuffle_ps(ab_low, cd_low, 0x44);
    t[4 * g + 1] = _mm256_shuffle_ps(ab_low, cd_low, 0xee);
    t[4 * g + 2] = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
    t[4 * g + 3] = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; c++) {
    _mm256_storeu_ps(dst + c * dst_stride, _mm256_permute2f128_ps(t[c], t[4 + c], 0x20));
    _mm256_storeu_ps(dst + (4 + c) * dst_stride, _mm256_permute2f128_ps(t[c], t[4 + c], 0x31));
  }
}

#elif defined(TW_NEON)

inline void transpose_tile(const float* src, int64_t src_stride, float* dst, int64_t dst_stride) {
  const float32x4_t a = vld1q_f32(src);
  const float32x4_t b = vld1q_f32(src + src_stride);
  const float32x4_t c = vld1q_f32(src + 2 * src_stride);
  const float32x4_t d = vld1q_f32(src + 3 * src_stride);
  // Pairs of columns 0, 2 and 1, 3 of two rows; then halves of two such pairs.
  const float64x2_t ab_even = vreinterpretq_f64_f32(vtrn1q_f32(a, b));
  const float64x2_t ab_odd = vreinterpretq_f64_f32(vtrn2q_f32(a, b));
  const float64x2_t cd_even = vreinterpretq_f64_f32(vtrn1q_f32(c, d));
  const float64x2_t cd_odd = vreinterpretq_f64_f32(vtrn2q_f32(c, d));
  vst1q_f32(dst, vreinterpretq_f32_f64(vtrn1q_f64(ab_even, cd_even)));
  vst1q_f32(dst + dst_stride, vreinterpretq_f32_f64(vtrn1q_f64(ab_odd, cd_odd)));
  vst1q_f32(dst + 2 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(ab_even, cd_even)));
  vst1q_f32(dst + 3 * dst_stride, vreinterpretq_f32_f64(vtrn2q_f64(ab_odd, cd_odd)));
}

#else

inline void transpose_tile(const float* src, int64_t src_stride, float* dst, int64_t dst_stride) {
  for (int i = 0; i < kLanes; i++) {
    for (int j = 0; j < kLanes; j++) dst[j * dst_stride + i] = src[i * src_stride + j];
  }
}

#endif

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
