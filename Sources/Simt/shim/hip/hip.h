// The part of HIP's device language that the test bed knows: HIP C++ kernel language guide ("C++ language extensions")
// here, clang's AMDGPU builtins in amdgcn/. The rewriter defines HIP_WAVE (32 or 64), HIP_GFX (9 to 12) and the macro
// of the target that is emulated.
#pragma once
#include "../simt_calls.h"
#include "amdgcn/target.h"

#define HIP_INLINE inline __attribute__((always_inline))

#ifdef MSL_SAN
extern "C" {
// Tells the runtime that this module reports its loads and stores.
__attribute__((used)) extern const int simt_module_hooks = 1;
}
#endif

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef __SIZE_TYPE__ size_t;
typedef __UINTPTR_TYPE__ uintptr_t;
typedef _Float16 half;
typedef _Float16 __half;
typedef __bf16 hip_bfloat16;
typedef __bf16 __hip_bfloat16;

// Vector types: "Built-in vector types".
#define HIP_VECTOR_OP(T, N, op)                               \
  friend T operator op(T a, T b) {                            \
    for (int i = 0; i < N; i++) a.at(i) = a.at(i) op b.at(i); \
    return a;                                                 \
  }                                                           \
  T& operator op##=(T b) {                                    \
    return *this = *this op b;                                \
  }
#define HIP_VECTOR_BODY(S, T, N)                       \
  S& at(int i) {                                       \
    return (&x)[i];                                    \
  }                                                    \
  HIP_VECTOR_OP(T, N, +)                               \
  HIP_VECTOR_OP(T, N, -)                               \
  HIP_VECTOR_OP(T, N, *)                               \
  HIP_VECTOR_OP(T, N, /)                               \
  friend T operator*(T a, S s) {                       \
    for (int i = 0; i < N; i++) a.at(i) = a.at(i) * s; \
    return a;                                          \
  }
#define HIP_VECTORS(S)                              \
  struct alignas(sizeof(S) * 2) S##2 {              \
    S x, y;                                         \
    HIP_VECTOR_BODY(S, S##2, 2)                     \
  };                                                \
  struct S##3 {                                     \
    S x, y, z;                                      \
    HIP_VECTOR_BODY(S, S##3, 3)                     \
  };                                                \
  struct alignas(sizeof(S) * 4) S##4 {              \
    S x, y, z, w;                                   \
    HIP_VECTOR_BODY(S, S##4, 4)                     \
  };                                                \
  HIP_INLINE S##2 make_##S##2(S x, S y) {           \
    return S##2 {x, y};                             \
  }                                                 \
  HIP_INLINE S##3 make_##S##3(S x, S y, S z) {      \
    return S##3 {x, y, z};                          \
  }                                                 \
  HIP_INLINE S##4 make_##S##4(S x, S y, S z, S w) { \
    return S##4 {x, y, z, w};                       \
  }
HIP_VECTORS(char)
HIP_VECTORS(uchar)
HIP_VECTORS(short)
HIP_VECTORS(ushort)
HIP_VECTORS(int)
HIP_VECTORS(uint)
HIP_VECTORS(float)
HIP_VECTORS(half)

struct dim3 {
  uint x, y, z;
};

namespace hip {
HIP_INLINE dim3 builtin(uint id) {
  uint v[3];
  simt_builtin(id, v);
  return dim3{v[0], v[1], v[2]};
}
}  // namespace hip
// "Coordinate built-ins".
#define threadIdx (::hip::builtin(SIMT_THREAD_POSITION_IN_THREADGROUP))
#define blockIdx (::hip::builtin(SIMT_THREADGROUP_POSITION_IN_GRID))
#define blockDim (::hip::builtin(SIMT_DISPATCH_THREADS_PER_THREADGROUP))
#define gridDim (::hip::builtin(SIMT_THREADGROUPS_PER_GRID))
constexpr int warpSize = HIP_WAVE;

// "Synchronization functions", "Memory fence instructions".
HIP_INLINE void __syncthreads() {
  simt_barrier(SIMT_THREADGROUP, SIMT_MEM_DEVICE | SIMT_MEM_THREADGROUP);
}
HIP_INLINE int __lane_id() {
  return (int)simt_lane();
}

// "Warp cross-lane functions".
namespace hip {
template <class T>
struct lanes {
  unsigned long base, mask;
  HIP_INLINE explicit lanes(T x) {
    static_assert(sizeof(T) <= 64, "a value of at most 64 bytes");
    unsigned long m;
    base = simt_collect(&x, sizeof(T), SIMT_COLLECTIVE, &m);
    mask = m;
  }
  HIP_INLINE T need(uint lane) const {
    if (!(mask >> lane & 1)) simt_inactive_lane(lane);
    return *(const T*)(base + 64 * lane);
  }
};
}  // namespace hip
template <class T>
HIP_INLINE T __shfl(T x, int lane, int width = warpSize) {
  const uint me = simt_lane();
  return hip::lanes<T>(x).need((me & ~(uint)(width - 1)) | ((uint)lane & (uint)(width - 1)));
}
template <class T>
HIP_INLINE T __shfl_xor(T x, int mask, int width = warpSize) {
  const hip::lanes<T> all(x);
  const uint me = simt_lane(), from = me ^ (uint)mask;
  return (from & ~(uint)(width - 1)) == (me & ~(uint)(width - 1)) ? all.need(from) : x;
}
template <class T>
HIP_INLINE T __shfl_down(T x, uint delta, int width = warpSize) {
  const hip::lanes<T> all(x);
  const uint me = simt_lane(), at = (me & (uint)(width - 1)) + delta;
  return at < (uint)width ? all.need(me + delta) : x;
}
template <class T>
HIP_INLINE T __shfl_up(T x, uint delta, int width = warpSize) {
  const hip::lanes<T> all(x);
  const uint me = simt_lane();
  return (me & (uint)(width - 1)) >= delta ? all.need(me - delta) : x;
}
HIP_INLINE unsigned long long __ballot(int p) {
  const hip::lanes<int> all(p != 0);
  unsigned long long bits = 0;
  for (uint i = 0; i < HIP_WAVE; i++)
    if (all.mask >> i & 1) bits |= (unsigned long long)*(const int*)(all.base + 64 * i) << i;
  return bits;
}
HIP_INLINE int __any(int p) {
  return __ballot(p) != 0;
}
HIP_INLINE int __all(int p) {
  return __ballot(p == 0) == 0;
}

// "Atomic functions": relaxed, device scope; they return the old value.
namespace hip {
template <class T>
struct atomic_kind;
template <>
struct atomic_kind<int> {
  static constexpr unsigned id = SIMT_I32;
};
template <>
struct atomic_kind<uint> {
  static constexpr unsigned id = SIMT_U32;
};
template <>
struct atomic_kind<float> {
  static constexpr unsigned id = SIMT_F32;
};
template <class T>
HIP_INLINE T atomic(unsigned op, T* p, T x, T expected = T(0)) {
  unsigned long bits = 0, want = 0;
  __builtin_memcpy(&bits, &x, sizeof(T));
  __builtin_memcpy(&want, &expected, sizeof(T));
  const unsigned long old = simt_atomic(op, atomic_kind<T>::id, (unsigned long)p, bits, want);
  T r;
  __builtin_memcpy(&r, &old, sizeof(T));
  return r;
}
}  // namespace hip
#define HIP_ATOMIC(name, op)      \
  template <class T>              \
  HIP_INLINE T name(T* p, T x) {  \
    return hip::atomic(op, p, x); \
  }
HIP_ATOMIC(atomicAdd, SIMT_ATOMIC_ADD)
HIP_ATOMIC(atomicSub, SIMT_ATOMIC_SUB)
HIP_ATOMIC(atomicMin, SIMT_ATOMIC_MIN)
HIP_ATOMIC(atomicMax, SIMT_ATOMIC_MAX)
HIP_ATOMIC(atomicAnd, SIMT_ATOMIC_AND)
HIP_ATOMIC(atomicOr, SIMT_ATOMIC_OR)
HIP_ATOMIC(atomicExch, SIMT_ATOMIC_EXCHANGE)
template <class T>
HIP_INLINE T atomicCAS(T* p, T expected, T x) {
  return hip::atomic(SIMT_ATOMIC_CAS, p, x, expected);
}

// "Math functions" and "Integer intrinsics".
extern "C" {
float expf(float);
float exp2f(float);
float logf(float);
float log2f(float);
float sinf(float);
float cosf(float);
float tanhf(float);
float erff(float);
float powf(float, float);
}
HIP_INLINE float sqrtf(float x) {
  return __builtin_sqrtf(x);
}
HIP_INLINE float rsqrtf(float x) {
  return 1.0f / __builtin_sqrtf(x);
}
HIP_INLINE float fabsf(float x) {
  return __builtin_fabsf(x);
}
HIP_INLINE float fmaxf(float a, float b) {
  return __builtin_fmaxf(a, b);
}
HIP_INLINE float fminf(float a, float b) {
  return __builtin_fminf(a, b);
}
HIP_INLINE float fmaf(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
HIP_INLINE float rintf(float x) {
  return __builtin_rintf(x);
}
HIP_INLINE float roundf(float x) {
  return __builtin_roundf(x);
}
HIP_INLINE float floorf(float x) {
  return __builtin_floorf(x);
}
HIP_INLINE float __expf(float x) {
  return ::expf(x);
}
HIP_INLINE float __logf(float x) {
  return ::logf(x);
}
HIP_INLINE float __fdividef(float a, float b) {
  return a / b;
}
HIP_INLINE int __popc(uint x) {
  return __builtin_popcount(x);
}
HIP_INLINE int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
HIP_INLINE int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz((uint)x);
}
HIP_INLINE int __ffs(int x) {
  return __builtin_ffs(x);
}
HIP_INLINE float __half2float(half x) {
  return (float)x;
}
HIP_INLINE half __float2half(float x) {
  return (half)x;
}
HIP_INLINE float __uint_as_float(uint x) {
  return __builtin_bit_cast(float, x);
}
HIP_INLINE uint __float_as_uint(float x) {
  return __builtin_bit_cast(uint, x);
}
template <class T>
constexpr HIP_INLINE T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
constexpr HIP_INLINE T max(T a, T b) {
  return a < b ? b : a;
}

// Vectors of clang's builtins.
#define HIP_BUILTIN_VECTOR(name, T, N) typedef T simt_##name##N __attribute__((ext_vector_type(N)));
HIP_BUILTIN_VECTOR(half, _Float16, 2)
HIP_BUILTIN_VECTOR(half, _Float16, 4)
HIP_BUILTIN_VECTOR(half, _Float16, 8)
HIP_BUILTIN_VECTOR(half, _Float16, 16)
HIP_BUILTIN_VECTOR(short, short, 4)
HIP_BUILTIN_VECTOR(short, short, 8)
HIP_BUILTIN_VECTOR(short, short, 16)
HIP_BUILTIN_VECTOR(int, int, 2)
HIP_BUILTIN_VECTOR(int, int, 4)
HIP_BUILTIN_VECTOR(int, int, 8)
HIP_BUILTIN_VECTOR(int, int, 16)
HIP_BUILTIN_VECTOR(float, float, 4)
HIP_BUILTIN_VECTOR(float, float, 8)
HIP_BUILTIN_VECTOR(float, float, 16)

#include "amdgcn/dot.h"
#include "amdgcn/dpp.h"
#include "amdgcn/lanes.h"
#include "amdgcn/math.h"
#include "amdgcn/matrix.h"
#include "amdgcn/sync.h"

// From a kernel's parameter list to a call. Arguments are numbered in order; one that is passed by value is a buffer
// with its bytes.
namespace hip {
template <class P>
struct argument {
  static P get(uint index) { return *(const P*)simt_buffer(index); }
};
template <class T>
struct argument<T*> {
  static T* get(uint index) { return (T*)simt_buffer(index); }
};
template <uint... I, class... P>
HIP_INLINE void call(void (*f)(P...)) {
  f(argument<P>::get(I)...);
}
}  // namespace hip
