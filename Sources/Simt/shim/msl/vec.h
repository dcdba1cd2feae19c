// Vectors. MSL specification section 2.2: constructors (2.2.3), components and swizzles (2.2.1); operators section 3.
//
// A class and not a bare ext_vector_type, because MSL's rules are stricter (no implicit conversion between vector
// types) and constructors richer. The storage still is one ext_vector, so that a float4 copy stays one 16-byte access:
// the counters depend on it.
#pragma once
#include "../simt_calls.h"
#include "traits.h"

namespace metal {
template <class T, int N>
struct vec;
template <class T, int N>
struct packed_vec;
}  // namespace metal

namespace msl {
template <class T>
struct lane_type {
  typedef T type;
};
template <>
struct lane_type<bool> {
  typedef uchar type;  // ext_vector_type of bool is a bit mask in clang
};
template <class V, class T>
struct in_a_space : metal::bool_constant<metal::is_same<V, __global T>::value || metal::is_same<V, __local T>::value ||
                                         metal::is_same<V, __private T>::value> {};
template <class T, int N>
struct storage {
  typedef typename lane_type<T>::type lane;
  typedef lane type __attribute__((ext_vector_type(N)));
};
}  // namespace msl

// Swizzles. A component that appears twice has no setter, so that writing through it is an error, as in MSL.
#define MSL_GET2(a, b)                      \
  vec<T, 2> get_##a##b() const {            \
    return vec<T, 2>(a, b);                 \
  }                                         \
  vec<T, 2> get_##a##b() const __constant { \
    return vec<T, 2>(a, b);                 \
  }
#define MSL_GET3(a, b, c)                      \
  vec<T, 3> get_##a##b##c() const {            \
    return vec<T, 3>(a, b, c);                 \
  }                                            \
  vec<T, 3> get_##a##b##c() const __constant { \
    return vec<T, 3>(a, b, c);                 \
  }
#define MSL_GET4(a, b, c, d)                      \
  vec<T, 4> get_##a##b##c##d() const {            \
    return vec<T, 4>(a, b, c, d);                 \
  }                                               \
  vec<T, 4> get_##a##b##c##d() const __constant { \
    return vec<T, 4>(a, b, c, d);                 \
  }
#define MSL_R2(a, b, A, B)                               \
  MSL_GET2(a, b)                                         \
  __declspec(property(get = get_##a##b)) vec<T, 2> a##b; \
  __declspec(property(get = get_##a##b)) vec<T, 2> A##B;
#define MSL_W2(a, b, A, B)                                                 \
  MSL_GET2(a, b)                                                           \
  void put_##a##b(vec<T, 2> s) {                                           \
    a = s.x, b = s.y;                                                      \
  }                                                                        \
  __declspec(property(get = get_##a##b, put = put_##a##b)) vec<T, 2> a##b; \
  __declspec(property(get = get_##a##b, put = put_##a##b)) vec<T, 2> A##B;
#define MSL_R3(a, b, c, A, B, C)                               \
  MSL_GET3(a, b, c)                                            \
  __declspec(property(get = get_##a##b##c)) vec<T, 3> a##b##c; \
  __declspec(property(get = get_##a##b##c)) vec<T, 3> A##B##C;
#define MSL_W3(a, b, c, A, B, C)                                                    \
  MSL_GET3(a, b, c)                                                                 \
  void put_##a##b##c(vec<T, 3> s) {                                                 \
    a = s.x, b = s.y, c = s.z;                                                      \
  }                                                                                 \
  __declspec(property(get = get_##a##b##c, put = put_##a##b##c)) vec<T, 3> a##b##c; \
  __declspec(property(get = get_##a##b##c, put = put_##a##b##c)) vec<T, 3> A##B##C;
#define MSL_R4(a, b, c, d, A, B, C, D)                               \
  MSL_GET4(a, b, c, d)                                               \
  __declspec(property(get = get_##a##b##c##d)) vec<T, 4> a##b##c##d; \
  __declspec(property(get = get_##a##b##c##d)) vec<T, 4> A##B##C##D;
#define MSL_W4(a, b, c, d, A, B, C, D)                                                       \
  MSL_GET4(a, b, c, d)                                                                       \
  void put_##a##b##c##d(vec<T, 4> s) {                                                       \
    a = s.x, b = s.y, c = s.z, d = s.w;                                                      \
  }                                                                                          \
  __declspec(property(get = get_##a##b##c##d, put = put_##a##b##c##d)) vec<T, 4> a##b##c##d; \
  __declspec(property(get = get_##a##b##c##d, put = put_##a##b##c##d)) vec<T, 4> A##B##C##D;

#define MSL_INDEXING                                       \
  T& operator[](int i) {                                   \
    return ((T*)this)[i];                                  \
  }                                                        \
  const T& operator[](int i) const {                       \
    return ((const T*)this)[i];                            \
  }                                                        \
  __global T& operator[](int i) __global {                 \
    return ((__global T*)this)[i];                         \
  }                                                        \
  const __global T& operator[](int i) const __global {     \
    return ((const __global T*)this)[i];                   \
  }                                                        \
  __local T& operator[](int i) __local {                   \
    return ((__local T*)this)[i];                          \
  }                                                        \
  const __local T& operator[](int i) const __local {       \
    return ((const __local T*)this)[i];                    \
  }                                                        \
  const __constant T& operator[](int i) const __constant { \
    return ((const __constant T*)this)[i];                 \
  }

// The sanitizing build looks at the alignment of every vector that is copied from or to memory: the optimiser drops
// components that are not used, and the hooks would see narrow loads. Templates, so that the class stays trivially
// copyable; assignment only from a source that names its space, or clang deletes the assignment of every struct with a
// vector in it. (Values are stored whole, which the hooks see.)
#ifdef MSL_SAN
#define MSL_CHECKED_COPIES(TYPE, SPACE)                                                  \
  template <class U = T>                                                                 \
  TYPE(const SPACE TYPE& o) {                                                            \
    simt_check_alignment((ulong)&o, alignof(TYPE));                                      \
    __builtin_memcpy(this, &o, sizeof(*this));                                           \
  }                                                                                      \
  template <class V, typename enable_if<msl::in_a_space<V, TYPE>::value, int>::type = 0> \
  SPACE TYPE& operator=(const V& o) SPACE {                                              \
    simt_check_alignment((ulong)this, alignof(TYPE));                                    \
    __builtin_memcpy(this, &o, sizeof(*this));                                           \
    return *this;                                                                        \
  }
#else
#define MSL_CHECKED_COPIES(TYPE, SPACE)
#endif

// Section 2.2.3: a scalar fills every component; another vector type converts only when asked to.
#define MSL_CONSTRUCTORS(N)                                                    \
  typedef typename msl::storage<T, N>::type storage_type;                      \
  typedef T value_type;                                                        \
  vec() = default;                                                             \
  MSL_CHECKED_COPIES(vec, __global)                                            \
  MSL_CHECKED_COPIES(vec, __local)                                             \
  vec(T s) {                                                                   \
    v = (typename msl::storage<T, N>::lane)s;                                  \
  }                                                                            \
  template <class U, typename enable_if<is_same<U, T>::value, int>::type = 0>  \
  vec(const __constant vec<U, N>& o) {                                         \
    v = o.v;                                                                   \
  }                                                                            \
  template <class U, typename enable_if<!is_same<U, T>::value, int>::type = 0> \
  explicit vec(const vec<U, N>& o) {                                           \
    for (int i = 0; i < N; i++) (*this)[i] = msl::convert<T>(o[i]);            \
  }                                                                            \
  template <class U, typename enable_if<!is_same<U, T>::value, int>::type = 0> \
  explicit vec(const __constant vec<U, N>& o) {                                \
    for (int i = 0; i < N; i++) (*this)[i] = msl::convert<T>(o[i]);            \
  }                                                                            \
  template <class U, typename enable_if<!is_same<U, T>::value, int>::type = 0> \
  explicit vec(const packed_vec<U, N>& o) {                                    \
    for (int i = 0; i < N; i++) (*this)[i] = msl::convert<T>(o[i]);            \
  }                                                                            \
  template <class U, typename enable_if<is_same<U, T>::value, int>::type = 0>  \
  vec& operator=(const __constant vec<U, N>& o) {                              \
    v = o.v;                                                                   \
    return *this;                                                              \
  }                                                                            \
  MSL_INDEXING

// Section 3.1 and 3.2: componentwise; one operand may be a scalar, which is converted to the component type.
#define MSL_ARITHMETIC(op, N)            \
  friend vec operator op(vec a, vec b) { \
    vec r;                               \
    r.v = a.v op b.v;                    \
    return r;                            \
  }                                      \
  friend vec operator op(vec a, T b) {   \
    return a op vec(b);                  \
  }                                      \
  friend vec operator op(T a, vec b) {   \
    return vec(a) op b;                  \
  }                                      \
  vec& operator op##=(vec b) {           \
    v = v op b.v;                        \
    return *this;                        \
  }
#define MSL_INTEGER(op, N)                                                    \
  friend vec operator op(vec a, vec b) {                                      \
    static_assert(is_integral<T>::value, "operator needs an integer vector"); \
    vec r;                                                                    \
    for (int i = 0; i < N; i++) r[i] = (T)(a[i] op b[i]);                     \
    return r;                                                                 \
  }                                                                           \
  friend vec operator op(vec a, T b) {                                        \
    return a op vec(b);                                                       \
  }                                                                           \
  friend vec operator op(T a, vec b) {                                        \
    return vec(a) op b;                                                       \
  }                                                                           \
  vec& operator op##=(vec b) {                                                \
    for (int i = 0; i < N; i++) (*this)[i] = (T)((*this)[i] op b[i]);         \
    return *this;                                                             \
  }
// Sections 3.4 to 3.6: the result is a vector of bool.
#define MSL_COMPARE(op, N)                           \
  friend vec<bool, N> operator op(vec a, vec b) {    \
    vec<bool, N> r;                                  \
    for (int i = 0; i < N; i++) r[i] = a[i] op b[i]; \
    return r;                                        \
  }                                                  \
  friend vec<bool, N> operator op(vec a, T b) {      \
    return a op vec(b);                              \
  }                                                  \
  friend vec<bool, N> operator op(T a, vec b) {      \
    return vec(a) op b;                              \
  }
#define MSL_OPERATORS(N)                                                      \
  MSL_ARITHMETIC(+, N)                                                        \
  MSL_ARITHMETIC(-, N)                                                        \
  MSL_ARITHMETIC(*, N)                                                        \
  MSL_ARITHMETIC(/, N)                                                        \
  MSL_INTEGER(%, N)                                                           \
  MSL_INTEGER(&, N)                                                           \
  MSL_INTEGER(|, N)                                                           \
  MSL_INTEGER(^, N)                                                           \
  MSL_INTEGER(<<, N)                                                          \
  MSL_INTEGER(>>, N)                                                          \
  MSL_COMPARE(==, N)                                                          \
  MSL_COMPARE(!=, N)                                                          \
  MSL_COMPARE(<, N)                                                           \
  MSL_COMPARE(>, N)                                                           \
  MSL_COMPARE(<=, N)                                                          \
  MSL_COMPARE(>=, N)                                                          \
  MSL_COMPARE(&&, N)                                                          \
  MSL_COMPARE(||, N)                                                          \
  friend vec operator+(vec a) {                                               \
    return a;                                                                 \
  }                                                                           \
  friend vec operator-(vec a) {                                               \
    for (int i = 0; i < N; i++) a[i] = -a[i];                                 \
    return a;                                                                 \
  }                                                                           \
  friend vec operator~(vec a) {                                               \
    static_assert(is_integral<T>::value, "operator needs an integer vector"); \
    for (int i = 0; i < N; i++) a[i] = (T)~a[i];                              \
    return a;                                                                 \
  }                                                                           \
  friend vec<bool, N> operator!(vec a) {                                      \
    vec<bool, N> r;                                                           \
    for (int i = 0; i < N; i++) r[i] = !a[i];                                 \
    return r;                                                                 \
  }                                                                           \
  vec& operator++() {                                                         \
    return *this += T(1);                                                     \
  }                                                                           \
  vec& operator--() {                                                         \
    return *this -= T(1);                                                     \
  }

namespace msl {
/// Explicit conversion of one component; half and bfloat meet in float (clang refuses the direct cast).
template <class T, class U>
struct converter {
  static constexpr T apply(U x) { return (T)x; }
};
template <>
struct converter<half, bfloat> {
  static half apply(bfloat x) { return (half)(float)x; }
};
template <>
struct converter<bfloat, half> {
  static bfloat apply(half x) { return (bfloat)(float)x; }
};
template <class T, class U>
MSL_INLINE T convert(U x) {
  return converter<T, U>::apply(x);
}
}  // namespace msl

namespace metal {

template <class T>
struct vec<T, 2> {
  MSL_CONSTRUCTORS(2)
  union {
    storage_type v;
    struct {
      T x, y;
    };
    struct {
      T r, g;
    };
  };
  vec(T a, T b) { x = a, y = b; }
  MSL_OPERATORS(2)
#include "swizzle2.inc"
};

template <class T>
struct vec<T, 3> {
  MSL_CONSTRUCTORS(3)
  union {
    storage_type v;
    struct {
      T x, y, z;
    };
    struct {
      T r, g, b;
    };
  };
  vec(T a, T b, T c) { x = a, y = b, z = c; }
  vec(vec<T, 2> a, T b) { x = a.x, y = a.y, z = b; }
  vec(T a, vec<T, 2> b) { x = a, y = b.x, z = b.y; }
  MSL_OPERATORS(3)
#include "swizzle3.inc"
};

template <class T>
struct vec<T, 4> {
  MSL_CONSTRUCTORS(4)
  union {
    storage_type v;
    struct {
      T x, y, z, w;
    };
    struct {
      T r, g, b, a;
    };
  };
  vec(T a0, T a1, T a2, T a3) { x = a0, y = a1, z = a2, w = a3; }
  vec(vec<T, 2> a, T b, T c) { x = a.x, y = a.y, z = b, w = c; }
  vec(T a, vec<T, 2> b, T c) { x = a, y = b.x, z = b.y, w = c; }
  vec(T a, T b, vec<T, 2> c) { x = a, y = b, z = c.x, w = c.y; }
  vec(vec<T, 2> a, vec<T, 2> b) { x = a.x, y = a.y, z = b.x, w = b.y; }
  vec(vec<T, 3> a, T b) { x = a.x, y = a.y, z = a.z, w = b; }
  vec(T a, vec<T, 3> b) { x = a, y = b.x, z = b.y, w = b.z; }
  MSL_OPERATORS(4)
#include "swizzle4.inc"
};
}  // namespace metal

// Table 2.2: the names of the vector types, visible without `using namespace metal`.
#define MSL_VECTOR_NAMES(T)      \
  typedef metal::vec<T, 2> T##2; \
  typedef metal::vec<T, 3> T##3; \
  typedef metal::vec<T, 4> T##4; \
  namespace metal {              \
  using ::T##2;                  \
  using ::T##3;                  \
  using ::T##4;                  \
  }
MSL_VECTOR_NAMES(bool)
MSL_VECTOR_NAMES(char)
MSL_VECTOR_NAMES(uchar)
MSL_VECTOR_NAMES(short)
MSL_VECTOR_NAMES(ushort)
MSL_VECTOR_NAMES(int)
MSL_VECTOR_NAMES(uint)
MSL_VECTOR_NAMES(long)
MSL_VECTOR_NAMES(ulong)
MSL_VECTOR_NAMES(half)
MSL_VECTOR_NAMES(float)
MSL_VECTOR_NAMES(bfloat)

#undef MSL_GET2
#undef MSL_GET3
#undef MSL_GET4
#undef MSL_R2
#undef MSL_R3
#undef MSL_R4
#undef MSL_W2
#undef MSL_W3
#undef MSL_W4
