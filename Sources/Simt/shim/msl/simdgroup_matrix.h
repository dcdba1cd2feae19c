// SIMD-group matrices. MSL specification sections 2.3.3 (simdgroup_matrix types) and 6.7 (functions).
//
// The specification leaves open which lane holds which element. This is the map that was observed on Apple7 to Apple9
// GPUs: lane l holds two neighbours in row (q & 4) + (l / 2) % 4, from column (q & 2) * 2 + (l % 2) * 2, where q = l
// / 4.
#pragma once
#include "simd.h"

namespace msl {
template <class T>
struct is_matrix_type : metal::bool_constant<metal::is_floating_point<T>::value> {};
struct matrix_lane {
  uint row, col;
  MSL_INLINE matrix_lane(uint lane) {
    const uint q = lane / 4;
    row = (q & 4) + (lane / 2) % 4;
    col = (q & 2) * 2 + (lane % 2) * 2;
  }
  /// The lane that holds (row, col), and which of its two elements it is.
  static MSL_INLINE uint of(uint row, uint col) {
    return ((row & 4) | (col >> 1 & 2)) * 4 + (row % 4) * 2 + (col / 2) % 2;
  }
};
}  // namespace msl

namespace metal {
template <class T, int C, int R>
struct simdgroup_matrix {
  static_assert(C == 8 && R == 8, "simdgroup_matrix is 8x8");
  static_assert(msl::is_matrix_type<T>::value, "simdgroup_matrix elements are half, bfloat or float");
  typedef vec<T, 2> storage_type;
  vec<T, 2> elements;

  simdgroup_matrix() = default;
  /// A diagonal matrix.
  explicit simdgroup_matrix(T s) {
    const msl::matrix_lane at(simt_lane());
    elements = vec<T, 2>(at.row == at.col ? s : T(0), at.row == at.col + 1 ? s : T(0));
  }
  MSL_THREAD vec<T, 2>& thread_elements() { return (MSL_THREAD vec<T, 2>&)elements; }
};

typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int C, int R = C>
MSL_INLINE simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(T value) {
  simdgroup_matrix<T, C, R> m;
  m.elements = vec<T, 2>(value);
  return m;
}
template <class T, int C, int R = C>
MSL_INLINE simdgroup_matrix<T, C, R> make_diagonal_simdgroup_matrix(T value) {
  return simdgroup_matrix<T, C, R>(value);
}
}  // namespace metal

namespace msl {
#ifdef MSL_SAN
// The matrix functions need all lanes; the sanitizing build waits for them, to see who is missing.
MSL_INLINE void converge(uint kind) {
  const uchar none = 0;
  ulong mask;
  simt_collect(&none, 1, kind, &mask);
}
#else
MSL_INLINE void converge(uint) {}
#endif
}  // namespace msl

#define MSL_MATRIX_MEMORY(SPACE)                                                                                  \
  template <class T>                                                                                              \
  MSL_INLINE void simdgroup_load(MSL_THREAD simdgroup_matrix<T, 8, 8>& m, const SPACE T* src,                     \
                                 ulong elements_per_row = 8, ulong2 origin = ulong2(0), bool transpose = false) { \
    msl::converge(SIMT_MATRIX_LOAD);                                                                              \
    const msl::matrix_lane at(simt_lane());                                                                       \
    const long row = (long)elements_per_row;                                                                      \
    const SPACE T* p = src + (long)origin.y * row + (long)origin.x;                                               \
    m.elements.x = transpose ? p[at.col * row + at.row] : p[at.row * row + at.col];                               \
    m.elements.y = transpose ? p[(at.col + 1) * row + at.row] : p[at.row * row + at.col + 1];                     \
  }                                                                                                               \
  template <class T>                                                                                              \
  MSL_INLINE void simdgroup_store(simdgroup_matrix<T, 8, 8> m, SPACE T* dst, ulong elements_per_row = 8,          \
                                  ulong2 origin = ulong2(0), bool transpose = false) {                            \
    msl::converge(SIMT_MATRIX_STORE);                                                                             \
    const msl::matrix_lane at(simt_lane());                                                                       \
    const long row = (long)elements_per_row;                                                                      \
    SPACE T* p = dst + (long)origin.y * row + (long)origin.x;                                                     \
    if (transpose) {                                                                                              \
      p[at.col * row + at.row] = m.elements.x;                                                                    \
      p[(at.col + 1) * row + at.row] = m.elements.y;                                                              \
    } else {                                                                                                      \
      p[at.row * row + at.col] = m.elements.x;                                                                    \
      p[at.row * row + at.col + 1] = m.elements.y;                                                                \
    }                                                                                                             \
  }
namespace metal {
MSL_MATRIX_MEMORY(__global)
MSL_MATRIX_MEMORY(__local)

/// d = a * b + c. Element types may differ (half inputs, float accumulator). Accumulates in float, k ascending.
template <class D, class A, class B, class C>
MSL_INLINE void simdgroup_multiply_accumulate(MSL_THREAD simdgroup_matrix<D, 8, 8>& d, simdgroup_matrix<A, 8, 8> a,
                                              simdgroup_matrix<B, 8, 8> b, simdgroup_matrix<C, 8, 8> c) {
  const msl::matrix_lane at(simt_lane());
  struct pair {
    float a[2], b[2];
  } mine;
  mine.a[0] = (float)a.elements.x, mine.a[1] = (float)a.elements.y;
  mine.b[0] = (float)b.elements.x, mine.b[1] = (float)b.elements.y;
  ulong mask;
  const ulong base = simt_collect(&mine, sizeof(mine), SIMT_MMA, &mask);
  float s0 = (float)c.elements.x, s1 = (float)c.elements.y;
  for (uint k = 0; k < 8; k++) {
    const float x = ((const pair*)(base + 64 * msl::matrix_lane::of(at.row, k)))->a[k & 1];
    const float y0 = ((const pair*)(base + 64 * msl::matrix_lane::of(k, at.col)))->b[0];
    const float y1 = ((const pair*)(base + 64 * msl::matrix_lane::of(k, at.col)))->b[1];
    s0 += x * y0;
    s1 += x * y1;
  }
  d.elements = vec<D, 2>((D)s0, (D)s1);
}
template <class D, class A, class B>
MSL_INLINE void simdgroup_multiply(MSL_THREAD simdgroup_matrix<D, 8, 8>& d, simdgroup_matrix<A, 8, 8> a,
                                   simdgroup_matrix<B, 8, 8> b) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<D, 8, 8>(D(0)));
}
}  // namespace metal
#undef MSL_MATRIX_MEMORY
