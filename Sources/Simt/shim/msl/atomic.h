// Atomics. MSL specification sections 2.6 (types) and 6.15 (functions); memory_order_relaxed is the one order that
// every version of MSL has for them (6.15.1).
#pragma once
#include "sync.h"

namespace metal {
enum memory_order { memory_order_relaxed = 0 };

template <class T>
struct atomic {
  T value;
};
}  // namespace metal
// C++ for OpenCL has types of these names: the macros step past them.
#define MSL_ATOMIC_NAME(T)                 \
  typedef metal::atomic<T> msl_atomic_##T; \
  namespace metal {                        \
  using ::msl_atomic_##T;                  \
  }
MSL_ATOMIC_NAME(int)
MSL_ATOMIC_NAME(uint)
MSL_ATOMIC_NAME(bool)
MSL_ATOMIC_NAME(float)
MSL_ATOMIC_NAME(ulong)
#undef MSL_ATOMIC_NAME
#define atomic_int msl_atomic_int
#define atomic_uint msl_atomic_uint
#define atomic_bool msl_atomic_bool
#define atomic_float msl_atomic_float
#define atomic_ulong msl_atomic_ulong

namespace msl {
template <class T>
struct atomic_kind;
template <>
struct atomic_kind<int> {
  enum { id = SIMT_I32 };
};
template <>
struct atomic_kind<uint> {
  enum { id = SIMT_U32 };
};
template <>
struct atomic_kind<float> {
  enum { id = SIMT_F32 };
};
template <>
struct atomic_kind<ulong> {
  enum { id = SIMT_U64 };
};
template <>
struct atomic_kind<bool> {
  enum { id = SIMT_U8 };
};
template <class T>
MSL_INLINE ulong bits(T x) {
  ulong r = 0;
  __builtin_memcpy(&r, &x, sizeof(T));
  return r;
}
template <class T>
MSL_INLINE T from_bits(ulong x) {
  T r;
  __builtin_memcpy(&r, &x, sizeof(T));
  return r;
}
template <class T>
MSL_INLINE T atomic_call(uint op, ulong address, T operand, T expected) {
  return from_bits<T>(simt_atomic(op, atomic_kind<T>::id, address, bits(operand), bits(expected)));
}
template <class T>
struct identity {
  typedef T type;
};
template <class T>
using same = typename identity<T>::type;
}  // namespace msl

#define MSL_FETCH(SPACE, name, op)                                                                   \
  template <class T>                                                                                 \
  MSL_INLINE T atomic_##name##_explicit(volatile SPACE atomic<T>* p, msl::same<T> x, memory_order) { \
    return msl::atomic_call<T>(op, (ulong)p, x, T(0));                                               \
  }
#define MSL_ATOMICS(SPACE)                                                                                          \
  template <class T>                                                                                                \
  MSL_INLINE T atomic_load_explicit(const volatile SPACE atomic<T>* p, memory_order) {                              \
    return msl::atomic_call<T>(SIMT_ATOMIC_LOAD, (ulong)p, T(0), T(0));                                             \
  }                                                                                                                 \
  template <class T>                                                                                                \
  MSL_INLINE void atomic_store_explicit(volatile SPACE atomic<T>* p, msl::same<T> x, memory_order) {                \
    msl::atomic_call<T>(SIMT_ATOMIC_STORE, (ulong)p, x, T(0));                                                      \
  }                                                                                                                 \
  template <class T>                                                                                                \
  MSL_INLINE bool atomic_compare_exchange_weak_explicit(                                                            \
      volatile SPACE atomic<T>* p, MSL_THREAD msl::same<T>* expected, msl::same<T> x, memory_order, memory_order) { \
    const T want = *expected;                                                                                       \
    const T old = msl::atomic_call<T>(SIMT_ATOMIC_CAS, (ulong)p, x, want);                                          \
    *expected = old;                                                                                                \
    return msl::bits(old) == msl::bits(want);                                                                       \
  }                                                                                                                 \
  MSL_FETCH(SPACE, exchange, SIMT_ATOMIC_EXCHANGE)                                                                  \
  MSL_FETCH(SPACE, fetch_add, SIMT_ATOMIC_ADD)                                                                      \
  MSL_FETCH(SPACE, fetch_sub, SIMT_ATOMIC_SUB)                                                                      \
  MSL_FETCH(SPACE, fetch_min, SIMT_ATOMIC_MIN)                                                                      \
  MSL_FETCH(SPACE, fetch_max, SIMT_ATOMIC_MAX)                                                                      \
  MSL_FETCH(SPACE, fetch_and, SIMT_ATOMIC_AND)                                                                      \
  MSL_FETCH(SPACE, fetch_or, SIMT_ATOMIC_OR)                                                                        \
  MSL_FETCH(SPACE, fetch_xor, SIMT_ATOMIC_XOR)
namespace metal {
MSL_ATOMICS(__global)
MSL_ATOMICS(__local)
}  // namespace metal
#undef MSL_ATOMICS
#undef MSL_FETCH
