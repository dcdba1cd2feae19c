// Matrices of C columns and R rows. MSL specification section 2.3; operators section 3.9 to 3.12.
#pragma once
#include "vec.h"

namespace metal {
template <class T, int C, int R>
struct matrix {
  vec<T, R> columns[C];

  matrix() = default;
  MSL_CHECKED_COPIES(matrix, __global)
  MSL_CHECKED_COPIES(matrix, __local)
  /// Section 2.3.2: a scalar fills the diagonal.
  explicit matrix(T s) {
    for (int c = 0; c < C; c++)
      for (int r = 0; r < R; r++) columns[c][r] = c == r ? s : T(0);
  }
  template <class... V, typename enable_if<(sizeof...(V) == C - 1), int>::type = 0>
  matrix(vec<T, R> first, V... rest) {
    vec<T, R> all[C] = {first, vec<T, R>(rest)...};
    for (int c = 0; c < C; c++) columns[c] = all[c];
  }
  template <class U, typename enable_if<!is_same<U, T>::value, int>::type = 0>
  explicit matrix(const matrix<U, C, R>& o) {
    for (int c = 0; c < C; c++) columns[c] = vec<T, R>(o.columns[c]);
  }
  template <class U, typename enable_if<is_same<U, T>::value, int>::type = 0>
  matrix(const __constant matrix<U, C, R>& o) {
    for (int c = 0; c < C; c++) columns[c] = o.columns[c];
  }

  vec<T, R>& operator[](int c) { return columns[c]; }
  const vec<T, R>& operator[](int c) const { return columns[c]; }
  __global vec<T, R>& operator[](int c) __global { return columns[c]; }
  const __global vec<T, R>& operator[](int c) const __global { return columns[c]; }
  __local vec<T, R>& operator[](int c) __local { return columns[c]; }
  const __local vec<T, R>& operator[](int c) const __local { return columns[c]; }
  const __constant vec<T, R>& operator[](int c) const __constant { return columns[c]; }

  friend matrix operator+(matrix a, matrix b) {
    for (int c = 0; c < C; c++) a.columns[c] += b.columns[c];
    return a;
  }
  friend matrix operator-(matrix a, matrix b) {
    for (int c = 0; c < C; c++) a.columns[c] -= b.columns[c];
    return a;
  }
  friend matrix operator*(matrix a, T s) {
    for (int c = 0; c < C; c++) a.columns[c] *= s;
    return a;
  }
  friend matrix operator*(T s, matrix a) { return a * s; }
  friend vec<T, R> operator*(matrix a, vec<T, C> x) {
    vec<T, R> y = a.columns[0] * x[0];
    for (int c = 1; c < C; c++) y += a.columns[c] * x[c];
    return y;
  }
};

template <class T, int C, int R, int K>
matrix<T, C, R> operator*(matrix<T, K, R> a, matrix<T, C, K> b) {
  matrix<T, C, R> y;
  for (int c = 0; c < C; c++) y.columns[c] = a * b.columns[c];
  return y;
}

/// Section 6.9 (matrix functions).
template <class T, int C, int R>
matrix<T, R, C> transpose(matrix<T, C, R> a) {
  matrix<T, R, C> y;
  for (int c = 0; c < C; c++)
    for (int r = 0; r < R; r++) y.columns[r][c] = a.columns[c][r];
  return y;
}
}  // namespace metal

#define MSL_MATRIX_NAMES(T)              \
  typedef metal::matrix<T, 2, 2> T##2x2; \
  typedef metal::matrix<T, 2, 3> T##2x3; \
  typedef metal::matrix<T, 2, 4> T##2x4; \
  typedef metal::matrix<T, 3, 2> T##3x2; \
  typedef metal::matrix<T, 3, 3> T##3x3; \
  typedef metal::matrix<T, 3, 4> T##3x4; \
  typedef metal::matrix<T, 4, 2> T##4x2; \
  typedef metal::matrix<T, 4, 3> T##4x3; \
  typedef metal::matrix<T, 4, 4> T##4x4; \
  namespace metal {                      \
  using ::T##2x2;                        \
  using ::T##2x4;                        \
  using ::T##3x3;                        \
  using ::T##4x4;                        \
  }
MSL_MATRIX_NAMES(half)
MSL_MATRIX_NAMES(float)
#undef MSL_MATRIX_NAMES
