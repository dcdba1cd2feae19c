// Reinterpreting bits. MSL specification section 2.19 (as_type).
#pragma once
#include "matrix.h"

namespace metal {
template <class T, class U>
MSL_INLINE T as_type(U x) {
  static_assert(sizeof(T) == sizeof(U), "as_type needs types of one size");
  T r;
  __builtin_memcpy(&r, &x, sizeof(T));
  return r;
}

/// Section 2.15: a value that is the same in all threads, which only the compiler makes use of.
template <class T>
using uniform = T;
template <class T>
constexpr MSL_INLINE T make_uniform(T x) {
  return x;
}

/// C++17 <array>, as far as kernels use it (section 2.13, `array<T, N>`).
template <class T, size_t N>
struct array {
  T elems[N];
  T& operator[](size_t i) { return elems[i]; }
  const T& operator[](size_t i) const { return elems[i]; }
  const __constant T& operator[](size_t i) const __constant { return elems[i]; }
  static constexpr size_t size() { return N; }
};
}  // namespace metal
// as_type is a keyword-like operator in MSL: it needs no `using namespace metal`.
using metal::as_type;
