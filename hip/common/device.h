// The device language of all kernels here: freestanding, from the compiler's builtins alone. Three branches: AMD GPUs
// (clang -x hip for amdgcn), NVIDIA GPUs (clang -x cuda for nvptx64), and the CPU test bed, which emulates an AMD
// target and so takes its branch. The wave size is a compile-time fact: TW_WAVE.
#pragma once

#include <tilewright/params.h>

namespace tw {

typedef tw_u8 u8;
typedef tw_i8 i8;
typedef tw_u16 u16;
typedef tw_i16 i16;
typedef tw_u32 u32;
typedef tw_i32 i32;
typedef uint64_t u64;
typedef tw_i64 i64;
typedef u32 u32x2 __attribute__((ext_vector_type(2)));
typedef u32 u32x4 __attribute__((ext_vector_type(4)));
typedef float f32x4 __attribute__((ext_vector_type(4)));

}  // namespace tw

#if defined(__AMDGCN__)
#define TW_AMD 1
#define TW_WAVE __AMDGCN_WAVEFRONT_SIZE
#elif defined(__NVPTX__)
#define TW_NVIDIA 1
#define TW_WAVE 32
#else
#error "kernels are compiled for amdgcn or nvptx64, or by the test bed"
#endif

// TW_KERNEL(threads) declares a kernel for at most `threads` threads; TW_KERNEL_BESIDE(threads, groups) one whose
// registers are so few that an NVIDIA processor runs that many workgroups beside each other; TW_SHARED is LDS, of fixed
// size or `extern`; TW_DEVICE and TW_MEMBER are functions, of a namespace and of a struct; TW_CONSTANT is a table.
#if defined(__SIMT__)
#define TW_DEVICE inline __attribute__((always_inline))
#define TW_KERNEL(threads) extern "C" __global__ __launch_bounds__(threads) void
#define TW_KERNEL_BESIDE(threads, groups) TW_KERNEL(threads)
#define TW_SHARED __shared__
#define TW_MEMBER inline __attribute__((always_inline))
#define TW_CONSTANT static constexpr
#else
#define TW_DEVICE static inline __attribute__((device, always_inline))
#if defined(TW_AMD)
#define TW_KERNEL(threads) \
  extern "C" __attribute__((global, amdgpu_flat_work_group_size(1, threads), visibility("default"))) void
#define TW_KERNEL_BESIDE(threads, groups) TW_KERNEL(threads)
#else
#define TW_KERNEL(threads) extern "C" __attribute__((global, launch_bounds(threads))) void
#define TW_KERNEL_BESIDE(threads, groups) extern "C" __attribute__((global, launch_bounds(threads, groups))) void
#endif
#define TW_SHARED __attribute__((shared))
#define TW_MEMBER inline __attribute__((device, always_inline))
#define TW_CONSTANT static __attribute__((device)) constexpr
#endif
#define TW_UNROLL _Pragma("unroll")
#define TW_NO_UNROLL _Pragma("nounroll")

#if defined(TW_AMD)
#include "amd.h"
#else
#include "nvidia.h"
#endif

namespace tw {

/// Lane of the wave, and the wave's place in its workgroup, which is the same in all its lanes.
TW_DEVICE u32 lane_id() {
  return thread_x() % TW_WAVE;
}
TW_DEVICE u32 wave_id() {
  return uniform(thread_x() / TW_WAVE);
}

template <class To, class From>
TW_DEVICE To bits_as(From x) {
  static_assert(sizeof(To) == sizeof(From), "bits_as keeps the size");
  return __builtin_bit_cast(To, x);
}

TW_DEVICE float from_f16(u32 bits) {
  return float(bits_as<_Float16>(u16(bits)));
}
/// x times the f16 in `bits`: written as a multiply-add, of which AMD GPUs have one that takes halves as they are.
TW_DEVICE float times_f16(float x, u32 bits) {
  return __builtin_fmaf(x, from_f16(bits), 0.0f);
}
TW_DEVICE float from_bf16(u32 bits) {
  return bits_as<float>(bits << 16);
}
TW_DEVICE u16 to_f16(float x) {
  return bits_as<u16>(_Float16(x));
}
/// Round to nearest even; a NaN stays a quiet NaN.
TW_DEVICE u16 to_bf16(float x) {
  const u32 bits = bits_as<u32>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return u16((bits >> 16) | 0x40u);
  return u16((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// x, or the NaN that arithmetic makes in place of one of another payload.
TW_DEVICE float plain_nan(float x) {
  return x == x ? x : __builtin_nanf("");
}

TW_DEVICE float minimum(float a, float b) {
  return a < b ? a : b;
}
TW_DEVICE float maximum(float a, float b) {
  return a > b ? a : b;
}
TW_DEVICE float clamp(float x, float low, float high) {
  return minimum(maximum(x, low), high);
}
TW_DEVICE float absolute(float x) {
  return __builtin_fabsf(x);
}

struct Sum {
  TW_MEMBER float operator()(float a, float b) const { return a + b; }
};
struct Max {
  TW_MEMBER float operator()(float a, float b) const { return maximum(a, b); }
};
/// Every lane gets the result.
TW_DEVICE float wave_sum(float x) {
  return wave_reduce(x, Sum());
}
TW_DEVICE float wave_max(float x) {
  return wave_reduce(x, Max());
}

}  // namespace tw
