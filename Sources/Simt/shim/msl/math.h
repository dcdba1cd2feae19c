// Common, math, geometric and relational functions. MSL specification sections 6.2 (common), 6.3 (integer),
// 6.4 (relational), 6.5 (math), 6.8 (geometric). IEEE results: a kernel may not rely on more than section 8.4 promises.
#pragma once
#include "convert.h"

extern "C" {
float acosf(float), acoshf(float), asinf(float), asinhf(float), atanf(float), atanhf(float), cosf(float), coshf(float);
float expf(float), exp2f(float), exp10f(float), logf(float), log2f(float), log10f(float);
float sinf(float), sinhf(float), tanf(float), tanhf(float);
float powf(float, float);
float atan2f(float, float);
float fmodf(float, float);
float ldexpf(float, int);
}

namespace msl {
inline float fract(float x) {
  return __builtin_fminf(x - __builtin_floorf(x), 0x1.fffffep-1f);
}
inline float sign(float x) {
  return x > 0 ? 1.0f : x < 0 ? -1.0f : x == x ? x : 0.0f;
}
inline float saturate(float x) {
  return __builtin_fminf(__builtin_fmaxf(x, 0.0f), 1.0f);
}
inline float rsqrt(float x) {
  return 1.0f / __builtin_sqrtf(x);
}
inline float sinpi(float x) {
  return ::sinf((x - 2.0f * __builtin_rintf(x * 0.5f)) * 3.14159265358979f);
}
inline float cospi(float x) {
  return ::cosf((x - 2.0f * __builtin_rintf(x * 0.5f)) * 3.14159265358979f);
}
inline float step(float edge, float x) {
  return x < edge ? 0.0f : 1.0f;
}
inline float fdim(float x, float y) {
  return x > y ? x - y : 0.0f;
}
inline float powr(float x, float y) {
  return ::powf(x, y);
}
inline float divide(float x, float y) {
  return x / y;
}
inline float mix(float x, float y, float a) {
  return x + (y - x) * a;
}
inline float smoothstep(float e0, float e1, float x) {
  float t = saturate((x - e0) / (e1 - e0));
  return t * t * (3.0f - 2.0f * t);
}
inline float clamp(float x, float lo, float hi) {
  return __builtin_fminf(__builtin_fmaxf(x, lo), hi);
}
}  // namespace msl

namespace metal {

// Each function exists for half and float, and for vectors of them; there is none for bfloat, which converts to float.
#define MSL_EACH(R, name, T, expr)                 \
  MSL_INLINE R name(T x) {                         \
    return (R)(expr);                              \
  }                                                \
  template <int N>                                 \
  MSL_INLINE vec<R, N> name(vec<T, N> v) {         \
    vec<R, N> r;                                   \
    for (int i = 0; i < N; i++) r[i] = name(v[i]); \
    return r;                                      \
  }
#define MSL_EACH2(name, T, expr)                         \
  MSL_INLINE T name(T x, T y) {                          \
    return (T)(expr);                                    \
  }                                                      \
  template <int N>                                       \
  MSL_INLINE vec<T, N> name(vec<T, N> a, vec<T, N> b) {  \
    for (int i = 0; i < N; i++) a[i] = name(a[i], b[i]); \
    return a;                                            \
  }                                                      \
  template <int N>                                       \
  MSL_INLINE vec<T, N> name(vec<T, N> a, T b) {          \
    return name(a, vec<T, N>(b));                        \
  }                                                      \
  template <int N>                                       \
  MSL_INLINE vec<T, N> name(T a, vec<T, N> b) {          \
    return name(vec<T, N>(a), b);                        \
  }
#define MSL_EACH3(name, T, expr)                                     \
  MSL_INLINE T name(T x, T y, T z) {                                 \
    return (T)(expr);                                                \
  }                                                                  \
  template <int N>                                                   \
  MSL_INLINE vec<T, N> name(vec<T, N> a, vec<T, N> b, vec<T, N> c) { \
    for (int i = 0; i < N; i++) a[i] = name(a[i], b[i], c[i]);       \
    return a;                                                        \
  }
#define MSL_FLOAT1(name, expr) MSL_EACH(float, name, float, expr) MSL_EACH(half, name, half, expr)
#define MSL_FLOAT2(name, expr) MSL_EACH2(name, float, expr) MSL_EACH2(name, half, expr)
#define MSL_FLOAT3(name, expr) MSL_EACH3(name, float, expr) MSL_EACH3(name, half, expr)

// Section 6.5, math functions.
MSL_FLOAT1(acos, ::acosf(x))
MSL_FLOAT1(acosh, ::acoshf(x))
MSL_FLOAT1(asin, ::asinf(x))
MSL_FLOAT1(asinh, ::asinhf(x))
MSL_FLOAT1(atan, ::atanf(x))
MSL_FLOAT1(atanh, ::atanhf(x))
MSL_FLOAT1(ceil, __builtin_ceilf(x))
MSL_FLOAT1(cos, ::cosf(x))
MSL_FLOAT1(cosh, ::coshf(x))
MSL_FLOAT1(cospi, msl::cospi(x))
MSL_FLOAT1(exp, ::expf(x))
MSL_FLOAT1(exp2, ::exp2f(x))
MSL_FLOAT1(exp10, ::exp10f(x))
MSL_FLOAT1(fabs, __builtin_fabsf(x))
MSL_FLOAT1(floor, __builtin_floorf(x))
MSL_FLOAT1(fract, msl::fract(x))
MSL_FLOAT1(log, ::logf(x))
MSL_FLOAT1(log2, ::log2f(x))
MSL_FLOAT1(log10, ::log10f(x))
MSL_FLOAT1(rint, __builtin_rintf(x))
MSL_FLOAT1(round, __builtin_roundf(x))
MSL_FLOAT1(rsqrt, msl::rsqrt(x))
MSL_FLOAT1(sin, ::sinf(x))
MSL_FLOAT1(sinh, ::sinhf(x))
MSL_FLOAT1(sinpi, msl::sinpi(x))
MSL_FLOAT1(sqrt, __builtin_sqrtf(x))
MSL_FLOAT1(tan, ::tanf(x))
MSL_FLOAT1(tanh, ::tanhf(x))
MSL_FLOAT1(trunc, __builtin_truncf(x))
MSL_FLOAT2(atan2, ::atan2f(x, y))
MSL_FLOAT2(copysign, __builtin_copysignf(x, y))
MSL_FLOAT2(divide, msl::divide(x, y))
MSL_FLOAT2(fdim, msl::fdim(x, y))
MSL_FLOAT2(fmax, __builtin_fmaxf(x, y))
MSL_FLOAT2(fmin, __builtin_fminf(x, y))
MSL_FLOAT2(fmod, ::fmodf(x, y))
MSL_FLOAT2(pow, ::powf(x, y))
MSL_FLOAT2(powr, msl::powr(x, y))
MSL_EACH3(fma, float, __builtin_fmaf(x, y, z))
MSL_EACH3(fma, half, __builtin_fma((double)x, (double)y, (double)z))
MSL_INLINE float ldexp(float x, int k) {
  return ::ldexpf(x, k);
}
MSL_INLINE half ldexp(half x, int k) {
  return (half)::ldexpf(x, k);
}

// Section 6.2, common functions. For bfloat there are min, max and abs through float.
MSL_FLOAT1(saturate, msl::saturate(x))
MSL_FLOAT1(sign, msl::sign(x))
MSL_FLOAT2(step, msl::step(x, y))
MSL_FLOAT3(mix, msl::mix(x, y, z))
MSL_FLOAT3(smoothstep, msl::smoothstep(x, y, z))
template <class T, int N>
MSL_INLINE vec<T, N> mix(vec<T, N> a, vec<T, N> b, T c) {
  return mix(a, b, vec<T, N>(c));
}

// min, max, clamp and abs: floating point above all integer types (6.2 and 6.3).
MSL_FLOAT2(min, __builtin_fminf(x, y))
MSL_FLOAT2(max, __builtin_fmaxf(x, y))
MSL_EACH2(min, bfloat, __builtin_fminf(x, y))
MSL_EACH2(max, bfloat, __builtin_fmaxf(x, y))
MSL_FLOAT3(clamp, msl::clamp(x, y, z))
MSL_FLOAT3(min3, __builtin_fminf(__builtin_fminf(x, y), z))
MSL_FLOAT3(max3, __builtin_fmaxf(__builtin_fmaxf(x, y), z))
MSL_FLOAT1(abs, __builtin_fabsf(x))
#define MSL_INTEGERS(T)                          \
  MSL_EACH2(min, T, y < x ? y : x)               \
  MSL_EACH2(max, T, x < y ? y : x)               \
  MSL_EACH3(clamp, T, x < y ? y : z < x ? z : x) \
  MSL_EACH3(min3, T, min(min(x, y), z))          \
  MSL_EACH3(max3, T, max(max(x, y), z))          \
  MSL_EACH(T, abs, T, x < T(0) ? (T)-x : x)
MSL_INTEGERS(char)
MSL_INTEGERS(uchar)
MSL_INTEGERS(short)
MSL_INTEGERS(ushort)
MSL_INTEGERS(int)
MSL_INTEGERS(uint)
MSL_INTEGERS(long)
MSL_INTEGERS(ulong)
#undef MSL_INTEGERS
template <class T, int N>
MSL_INLINE vec<T, N> clamp(vec<T, N> x, T lo, T hi) {
  return clamp(x, vec<T, N>(lo), vec<T, N>(hi));
}

// Section 6.3, integer functions.
#define MSL_BITS(T, U, W)                                                          \
  MSL_EACH(T, popcount, T, __builtin_popcountl((U)x))                              \
  MSL_EACH(T, clz, T, x == 0 ? W : (int)(__builtin_clzl((ulong)(U)x) - (64 - W)))  \
  MSL_EACH(T, ctz, T, x == 0 ? W : __builtin_ctzl((ulong)(U)x))                    \
  MSL_INLINE T extract_bits(T x, uint offset, uint bits) {                         \
    return bits == 0 ? T(0) : (T)((T)((U)x << (W - offset - bits)) >> (W - bits)); \
  }                                                                                \
  MSL_INLINE T rotate(T x, T n) {                                                  \
    return (T)(((U)x << (n & (W - 1))) | ((U)x >> ((W - n) & (W - 1))));           \
  }
MSL_BITS(char, uchar, 8)
MSL_BITS(uchar, uchar, 8)
MSL_BITS(short, ushort, 16)
MSL_BITS(ushort, ushort, 16)
MSL_BITS(int, uint, 32)
MSL_BITS(uint, uint, 32)
MSL_BITS(long, ulong, 64)
MSL_BITS(ulong, ulong, 64)
#undef MSL_BITS
MSL_INLINE uint reverse_bits(uint x) {
  return __builtin_bitreverse32(x);
}
MSL_INLINE int mulhi(int x, int y) {
  return (int)(((long)x * y) >> 32);
}
MSL_INLINE uint mulhi(uint x, uint y) {
  return (uint)(((ulong)x * y) >> 32);
}
MSL_INLINE int mad24(int x, int y, int z) {
  return x * y + z;
}
MSL_INLINE uint mad24(uint x, uint y, uint z) {
  return x * y + z;
}

// Section 6.4, relational functions.
MSL_EACH(bool, isnan, float, __builtin_isnan(x))
MSL_EACH(bool, isnan, half, __builtin_isnan((float)x))
MSL_EACH(bool, isinf, float, __builtin_isinf(x))
MSL_EACH(bool, isinf, half, __builtin_isinf((float)x))
MSL_EACH(bool, isfinite, float, __builtin_isfinite(x))
MSL_EACH(bool, isfinite, half, __builtin_isfinite((float)x))
MSL_EACH(bool, signbit, float, __builtin_signbitf(x))
template <int N>
MSL_INLINE bool any(vec<bool, N> v) {
  bool r = false;
  for (int i = 0; i < N; i++) r = r || v[i];
  return r;
}
template <int N>
MSL_INLINE bool all(vec<bool, N> v) {
  bool r = true;
  for (int i = 0; i < N; i++) r = r && v[i];
  return r;
}
MSL_INLINE bool any(bool v) {
  return v;
}
MSL_INLINE bool all(bool v) {
  return v;
}
template <class T, typename enable_if<is_arithmetic<T>::value, int>::type = 0>
MSL_INLINE T select(T a, T b, bool c) {
  return c ? b : a;
}
template <class T, int N>
MSL_INLINE vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<bool, N> c) {
  for (int i = 0; i < N; i++) a[i] = c[i] ? b[i] : a[i];
  return a;
}
template <class T, int N>
MSL_INLINE vec<T, N> select(vec<T, N> a, vec<T, N> b, bool c) {
  return select(a, b, vec<bool, N>(c));
}

// Section 6.8, geometric functions.
template <class T, int N>
MSL_INLINE T dot(vec<T, N> a, vec<T, N> b) {
  T s = a[0] * b[0];
  for (int i = 1; i < N; i++) s += a[i] * b[i];
  return s;
}
template <class T, int N>
MSL_INLINE T length_squared(vec<T, N> a) {
  return dot(a, a);
}
template <class T, int N>
MSL_INLINE T length(vec<T, N> a) {
  return sqrt(dot(a, a));
}
template <class T, int N>
MSL_INLINE T distance(vec<T, N> a, vec<T, N> b) {
  return length(a - b);
}
template <class T, int N>
MSL_INLINE vec<T, N> normalize(vec<T, N> a) {
  return a * rsqrt(dot(a, a));
}
template <class T>
MSL_INLINE vec<T, 3> cross(vec<T, 3> a, vec<T, 3> b) {
  return vec<T, 3>(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

// Section 6.5: precise and fast variants of float functions. One result serves both here: the accuracy that fast::
// promises (table 8.3) is looser than this, so nothing may depend on the difference.
#define MSL_VARIANTS      \
  using metal::abs;       \
  using metal::acos;      \
  using metal::asin;      \
  using metal::atan;      \
  using metal::atan2;     \
  using metal::ceil;      \
  using metal::clamp;     \
  using metal::cos;       \
  using metal::cosh;      \
  using metal::divide;    \
  using metal::exp;       \
  using metal::exp10;     \
  using metal::exp2;      \
  using metal::fabs;      \
  using metal::floor;     \
  using metal::fma;       \
  using metal::fmax;      \
  using metal::fmin;      \
  using metal::fmod;      \
  using metal::fract;     \
  using metal::log;       \
  using metal::log10;     \
  using metal::log2;      \
  using metal::max;       \
  using metal::min;       \
  using metal::pow;       \
  using metal::powr;      \
  using metal::rint;      \
  using metal::round;     \
  using metal::rsqrt;     \
  using metal::saturate;  \
  using metal::sign;      \
  using metal::sin;       \
  using metal::sinh;      \
  using metal::sqrt;      \
  using metal::tan;       \
  using metal::tanh;      \
  using metal::trunc;     \
  using metal::normalize; \
  using metal::length;    \
  using metal::acosh;     \
  using metal::asinh;     \
  using metal::atanh;     \
  using metal::cospi;     \
  using metal::sinpi;
namespace precise {
MSL_VARIANTS
}
namespace fast {
MSL_VARIANTS
}
}  // namespace metal
