// F32 and I32 for AArch64: four lanes; half floats convert by instructions that every AArch64 core has.
#pragma once

#include <arm_neon.h>

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kLanes = 4;
typedef float F32 __attribute__((vector_size(16)));
typedef int32_t I32 __attribute__((vector_size(16)));

inline F32 load(const float* p) {
  return (F32)vld1q_f32(p);
}
/// The first n of four 32-bit elements, the others 0.
inline uint32x4_t load_words_n(const void* p, int64_t n) {
  const char* bytes = static_cast<const char*>(p);
  uint64_t low = 0;
  uint32_t first = 0;
  uint32_t third = 0;
  if (n > 3) {
    uint32x4_t whole;
    memcpy(&whole, p, sizeof whole);
    return whole;
  }
  if (n > 1) memcpy(&low, bytes, 8);
  if (n == 1) memcpy(&first, bytes, 4);
  if (n == 3) memcpy(&third, bytes + 8, 4);
  return vcombine_u32(vcreate_u32(low | first), vcreate_u32(third));
}
inline F32 load_n(const float* p, int64_t n) {
  return (F32)load_words_n(p, n);
}
inline void store(float* p, F32 x) {
  vst1q_f32(p, (float32x4_t)x);
}
inline void store_n(float* p, F32 x, int64_t n) {
  const float32x4_t v = (float32x4_t)x;
  if (n > 3) return store(p, x);
  if (n > 1) vst1_f32(p, vget_low_f32(v));
  if (n == 1) vst1q_lane_f32(p, v, 0);
  if (n == 3) vst1q_lane_f32(p + 2, v, 2);
}

/// The first n of four 16-bit elements, the others 0.
inline uint16x4_t load_halves_n(const uint16_t* p, int64_t n) {
  if (n > 3) return vld1_u16(p);
  uint16x4_t x = vdup_n_u16(0);
  if (n > 0) x = vld1_lane_u16(p, x, 0);
  if (n > 1) x = vld1_lane_u16(p + 1, x, 1);
  if (n > 2) x = vld1_lane_u16(p + 2, x, 2);
  return x;
}
inline void store_halves_n(uint16_t* p, uint16x4_t x, int64_t n) {
  if (n > 3) return vst1_u16(p, x);
  if (n > 0) vst1_lane_u16(p, x, 0);
  if (n > 1) vst1_lane_u16(p + 1, x, 1);
  if (n > 2) vst1_lane_u16(p + 2, x, 2);
}

inline F32 widen_f16(uint16x4_t h) {
  return (F32)vcvt_f32_f16(vreinterpret_f16_u16(h));
}
inline F32 load_f16(const uint16_t* p) {
  return widen_f16(vld1_u16(p));
}
inline F32 load_f16_n(const uint16_t* p, int64_t n) {
  return widen_f16(load_halves_n(p, n));
}
inline uint16x4_t narrow_f16(F32 x) {
  return vreinterpret_u16_f16(vcvt_f16_f32((float32x4_t)x));
}
inline void store_f16(uint16_t* p, F32 x) {
  vst1_u16(p, narrow_f16(x));
}
inline void store_f16_n(uint16_t* p, F32 x, int64_t n) {
  store_halves_n(p, narrow_f16(x), n);
}

inline F32 widen_bf16(uint16x4_t h) {
  return (F32)vshll_n_u16(h, 16);
}
inline F32 load_bf16(const uint16_t* p) {
  return widen_bf16(vld1_u16(p));
}
inline F32 load_bf16_n(const uint16_t* p, int64_t n) {
  return widen_bf16(load_halves_n(p, n));
}
/// Round to nearest even; NaNs keep their top bits and become quiet.
inline uint16x4_t narrow_bf16(F32 x) {
  const uint32x4_t bits = (uint32x4_t)x;
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  const uint32x4_t number = vceqq_f32((float32x4_t)x, (float32x4_t)x);
  return vshrn_n_u32(vbslq_u32(number, rounded, quiet), 16);
}
inline void store_bf16(uint16_t* p, F32 x) {
  vst1_u16(p, narrow_bf16(x));
}
inline void store_bf16_n(uint16_t* p, F32 x, int64_t n) {
  store_halves_n(p, narrow_bf16(x), n);
}

inline F32 to_f32(I32 x) {
  return (F32)vcvtq_f32_s32((int32x4_t)x);
}
/// Four bytes in the low half of an otherwise zero vector.
inline uint8x8_t load_four(const void* p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return vcreate_u8(x);
}
inline I32 widen_u8(const uint8_t* p) {
  return (I32)vmovl_u16(vget_low_u16(vmovl_u8(load_four(p))));
}
inline I32 widen_i8(const int8_t* p) {
  return (I32)vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_four(p)))));
}
inline F32 load_i8(const int8_t* p) {
  return to_f32(widen_i8(p));
}
inline F32 load_i8_n(const int8_t* p, int64_t n) {
  int8_t whole[4] = {};
  for (int i = 0; i < 4; i++) {
    if (i < n) whole[i] = p[i];
  }
  return load_i8(whole);
}
inline F32 load_i32(const int32_t* p) {
  return to_f32((I32)vld1q_s32(p));
}
inline F32 load_i32_n(const int32_t* p, int64_t n) {
  return to_f32((I32)load_words_n(p, n));
}

inline F32 fma(F32 a, F32 b, F32 c) {
  return (F32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
/// Not fmax, which gives NaN, nor fmaxnm, which gives a when b is NaN.
inline F32 max(F32 a, F32 b) {
  return a > b ? a : b;
}
inline F32 min(F32 a, F32 b) {
  return a < b ? a : b;
}
/// Two factors: 2^n itself may not be a normal number; the first product is exact, so the second rounds once.
inline F32 scale_by_exponent(F32 p, F32 n) {
  const I32 whole = (I32)vcvtq_s32_f32((float32x4_t)n);
  const I32 half = whole >> 1;
  return p * (F32)((half + 127) << 23) * (F32)((whole - half + 127) << 23);
}
inline float reduce_add(F32 x) {
  return vaddvq_f32((float32x4_t)x);
}
inline float reduce_max(F32 x) {
  return vmaxvq_f32((float32x4_t)x);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
