// F32 and I32 for any machine, by compiler vectors of four lanes alone.
#pragma once

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kLanes = 4;
typedef float F32 __attribute__((vector_size(16)));
typedef int32_t I32 __attribute__((vector_size(16)));

template <class Vector, class T>
inline Vector load_bytes(const T* p) {
  Vector x;
  memcpy(&x, p, sizeof x);
  return x;
}

/// The first n of four elements, the others 0.
template <class T>
struct Partial {
  T whole[4] = {};
  Partial() = default;
  Partial(const T* p, int64_t n) {
    for (int64_t i = 0; i < n; i++) whole[i] = p[i];
  }
  void put(T* p, int64_t n) const {
    for (int64_t i = 0; i < n; i++) p[i] = whole[i];
  }
};

inline F32 load(const float* p) {
  return load_bytes<F32>(p);
}
inline F32 load_n(const float* p, int64_t n) {
  return load(Partial<float>(p, n).whole);
}
inline void store(float* p, F32 x) {
  memcpy(p, &x, sizeof x);
}
inline void store_n(float* p, F32 x, int64_t n) {
  Partial<float> part;
  store(part.whole, x);
  part.put(p, n);
}

inline F32 to_f32(I32 x) {
  return __builtin_convertvector(x, F32);
}
inline I32 widen_u16(const uint16_t* p) {
  typedef uint16_t U16x4 __attribute__((vector_size(8)));
  return __builtin_convertvector(load_bytes<U16x4>(p), I32);
}
inline I32 widen_u8(const uint8_t* p) {
  return I32{p[0], p[1], p[2], p[3]};
}
inline I32 widen_i8(const int8_t* p) {
  return I32{p[0], p[1], p[2], p[3]};
}

/// The exponent is moved by a multiplication, which also makes subnormal halves normal; infinities and NaNs apart.
inline F32 load_f16(const uint16_t* p) {
  const I32 h = widen_u16(p);
  const I32 magnitude = (h & 0x7fff) << 13;
  const I32 sign = (h & 0x8000) << 16;
  const I32 moved = (I32)((F32)magnitude * 0x1p112f);
  const I32 special = magnitude >= (0x7c00 << 13);
  const I32 quiet = (magnitude > (0x7c00 << 13)) & 0x400000;
  return (F32)(sign | (special & (magnitude | 0x7f800000 | quiet)) | (~special & moved));
}
inline F32 load_f16_n(const uint16_t* p, int64_t n) {
  return load_f16(Partial<uint16_t>(p, n).whole);
}
inline void store_f16(uint16_t* p, F32 x) {
  for (int i = 0; i < 4; i++) p[i] = f32_to_f16(x[i]);
}
inline void store_f16_n(uint16_t* p, F32 x, int64_t n) {
  Partial<uint16_t> part;
  store_f16(part.whole, x);
  part.put(p, n);
}
inline F32 load_bf16(const uint16_t* p) {
  return (F32)(widen_u16(p) << 16);
}
inline F32 load_bf16_n(const uint16_t* p, int64_t n) {
  return load_bf16(Partial<uint16_t>(p, n).whole);
}
inline void store_bf16(uint16_t* p, F32 x) {
  for (int i = 0; i < 4; i++) p[i] = f32_to_bf16(x[i]);
}
inline void store_bf16_n(uint16_t* p, F32 x, int64_t n) {
  Partial<uint16_t> part;
  store_bf16(part.whole, x);
  part.put(p, n);
}
inline F32 load_i8(const int8_t* p) {
  return to_f32(widen_i8(p));
}
inline F32 load_i8_n(const int8_t* p, int64_t n) {
  return load_i8(Partial<int8_t>(p, n).whole);
}
inline F32 load_i32(const int32_t* p) {
  return to_f32(load_bytes<I32>(p));
}
inline F32 load_i32_n(const int32_t* p, int64_t n) {
  return load_i32(Partial<int32_t>(p, n).whole);
}

/// A product and a sum, each rounded: the baseline has no fused multiply-add.
inline F32 fma(F32 a, F32 b, F32 c) {
  return a * b + c;
}
inline F32 max(F32 a, F32 b) {
  return a > b ? a : b;
}
inline F32 min(F32 a, F32 b) {
  return a < b ? a : b;
}
/// Two factors: 2^n itself may not be a normal number; the first product is exact, so the second rounds once.
inline F32 scale_by_exponent(F32 p, F32 n) {
  const I32 whole = __builtin_convertvector(n, I32);
  const I32 half = whole >> 1;
  return p * (F32)((half + 127) << 23) * (F32)((whole - half + 127) << 23);
}
inline float reduce_add(F32 x) {
  return (x[0] + x[2]) + (x[1] + x[3]);
}
inline float reduce_max(F32 x) {
  const float a = x[0] > x[2] ? x[0] : x[2];
  const float b = x[1] > x[3] ? x[1] : x[3];
  return a > b ? a : b;
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
