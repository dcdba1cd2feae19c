// Packed vectors: the components' alignment, and three components take three places. MSL specification section 2.2.4.
#pragma once
#include "vec.h"

namespace metal {
template <class T, int N>
struct packed_vec {
  T e[N];

  packed_vec() = default;
  packed_vec(T s) {
    for (int i = 0; i < N; i++) e[i] = s;
  }
  packed_vec(vec<T, N> o) {
    for (int i = 0; i < N; i++) e[i] = o[i];
  }
  template <class... V, typename enable_if<(sizeof...(V) == N - 2), int>::type = 0>
  packed_vec(T a, T b, V... rest) {
    T all[N] = {a, b, (T)rest...};
    for (int i = 0; i < N; i++) e[i] = all[i];
  }
  template <class U, typename enable_if<is_same<U, T>::value, int>::type = 0>
  packed_vec(const __constant packed_vec<U, N>& o) {
    for (int i = 0; i < N; i++) e[i] = o.e[i];
  }
  operator vec<T, N>() const {
    vec<T, N> r;
    for (int i = 0; i < N; i++) r[i] = e[i];
    return r;
  }
  operator vec<T, N>() const __constant {
    vec<T, N> r;
    for (int i = 0; i < N; i++) r[i] = e[i];
    return r;
  }
  T& operator[](int i) { return e[i]; }
  const T& operator[](int i) const { return e[i]; }
  __global T& operator[](int i) __global { return e[i]; }
  const __global T& operator[](int i) const __global { return e[i]; }
  __local T& operator[](int i) __local { return e[i]; }
  const __local T& operator[](int i) const __local { return e[i]; }
  const __constant T& operator[](int i) const __constant { return e[i]; }
};
}  // namespace metal

#define MSL_PACKED_NAMES(T)                      \
  typedef metal::packed_vec<T, 2> packed_##T##2; \
  typedef metal::packed_vec<T, 3> packed_##T##3; \
  typedef metal::packed_vec<T, 4> packed_##T##4; \
  namespace metal {                              \
  using ::packed_##T##2;                         \
  using ::packed_##T##3;                         \
  using ::packed_##T##4;                         \
  }
MSL_PACKED_NAMES(char)
MSL_PACKED_NAMES(uchar)
MSL_PACKED_NAMES(short)
MSL_PACKED_NAMES(ushort)
MSL_PACKED_NAMES(int)
MSL_PACKED_NAMES(uint)
MSL_PACKED_NAMES(half)
MSL_PACKED_NAMES(float)
MSL_PACKED_NAMES(bfloat)
#undef MSL_PACKED_NAMES
