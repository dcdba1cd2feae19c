// MSL section 6.1,  <metal_type_traits>: the C++17 traits that kernels use, and the shim's own.
#pragma once
#include "types.h"

namespace metal {
template <class T, T V>
struct integral_constant {
  static constexpr const __constant T value = V;
  typedef T value_type;
  constexpr operator T() const { return V; }
};
template <bool B>
using bool_constant = integral_constant<bool, B>;
typedef integral_constant<bool, true> true_type;
typedef integral_constant<bool, false> false_type;

template <class A, class B>
struct is_same : false_type {};
template <class A>
struct is_same<A, A> : true_type {};
template <class A, class B>
constexpr const __constant bool is_same_v = is_same<A, B>::value;

template <bool C, class A, class B>
struct conditional {
  typedef A type;
};
template <class A, class B>
struct conditional<false, A, B> {
  typedef B type;
};
template <bool C, class A, class B>
using conditional_t = typename conditional<C, A, B>::type;

template <bool C, class T = void>
struct enable_if {};
template <class T>
struct enable_if<true, T> {
  typedef T type;
};
template <bool C, class T = void>
using enable_if_t = typename enable_if<C, T>::type;

template <class T>
struct remove_const {
  typedef T type;
};
template <class T>
struct remove_const<const T> {
  typedef T type;
};
template <class T>
struct remove_volatile {
  typedef T type;
};
template <class T>
struct remove_volatile<volatile T> {
  typedef T type;
};
template <class T>
struct remove_cv {
  typedef typename remove_volatile<typename remove_const<T>::type>::type type;
};
template <class T>
using remove_cv_t = typename remove_cv<T>::type;

template <class T>
struct is_floating_point
    : bool_constant<is_same<remove_cv_t<T>, float>::value || is_same<remove_cv_t<T>, half>::value ||
                    is_same<remove_cv_t<T>, bfloat>::value> {};
template <class T>
constexpr const __constant bool is_floating_point_v = is_floating_point<T>::value;
template <class T>
struct is_integral : bool_constant<__is_integral(T)> {};
template <class T>
constexpr const __constant bool is_integral_v = is_integral<T>::value;
template <class T>
struct is_arithmetic : bool_constant<is_integral<T>::value || is_floating_point<T>::value> {};
template <class T>
constexpr const __constant bool is_arithmetic_v = is_arithmetic<T>::value;
template <class T>
struct is_unsigned : bool_constant<is_integral<T>::value && (T(-1) > T(0))> {};
template <class T>
constexpr const __constant bool is_unsigned_v = is_unsigned<T>::value;
template <class T>
struct is_signed : bool_constant<is_arithmetic<T>::value && !is_unsigned<T>::value> {};
template <class T>
constexpr const __constant bool is_signed_v = is_signed<T>::value;

template <class From, class To>
struct is_convertible : bool_constant<__is_convertible_to(From, To)> {};
template <class From, class To>
constexpr const __constant bool is_convertible_v = is_convertible<From, To>::value;

template <class T>
struct numeric_limits;
#define MSL_LIMITS(T, LO, HI, DIGITS)                        \
  template <>                                                \
  struct numeric_limits<T> {                                 \
    static constexpr T lowest() { return T(LO); }            \
    static constexpr T min() { return T(LO); }               \
    static constexpr T max() { return T(HI); }               \
    static constexpr const __constant int digits = (DIGITS); \
  };
MSL_LIMITS(char, -128, 127, 7)
MSL_LIMITS(schar, -128, 127, 7)
MSL_LIMITS(uchar, 0, 255, 8)
MSL_LIMITS(short, -32768, 32767, 15)
MSL_LIMITS(ushort, 0, 65535, 16)
MSL_LIMITS(int, -2147483647 - 1, 2147483647, 31)
MSL_LIMITS(uint, 0, 4294967295u, 32)
MSL_LIMITS(long, -9223372036854775807L - 1, 9223372036854775807L, 63)
MSL_LIMITS(ulong, 0, 18446744073709551615uL, 64)
MSL_LIMITS(bool, 0, 1, 1)
#undef MSL_LIMITS
#define MSL_FLOAT_LIMITS(T, LO, HI, EPS, DIGITS)                     \
  template <>                                                        \
  struct numeric_limits<T> {                                         \
    static constexpr T lowest() { return T(-(HI)); }                 \
    static constexpr T min() { return T(LO); }                       \
    static constexpr T max() { return T(HI); }                       \
    static constexpr T epsilon() { return T(EPS); }                  \
    static constexpr T infinity() { return T(__builtin_inff()); }    \
    static constexpr T quiet_NaN() { return T(__builtin_nanf("")); } \
    static constexpr const __constant int digits = (DIGITS);         \
  };
MSL_FLOAT_LIMITS(float, 0x1.0p-126f, 0x1.fffffep127f, 0x1.0p-23f, 24)
MSL_FLOAT_LIMITS(half, 0x1.0p-14f, 65504.0f, 0x1.0p-10f, 11)
MSL_FLOAT_LIMITS(bfloat, 0x1.0p-126f, 0x1.fep127f, 0x1.0p-7f, 8)
#undef MSL_FLOAT_LIMITS
}  // namespace metal

namespace msl {
template <int... I>
struct indices {};
template <int N, int... I>
struct make_indices : make_indices<N - 1, N - 1, I...> {};
template <int... I>
struct make_indices<0, I...> {
  typedef indices<I...> type;
};
template <class T>
struct always_false : metal::false_type {};

/// Plain value of anything that a kernel may name in memory: used around the branches of `?:`, where C++ for OpenCL
/// does not unify classes in different address spaces.
// One overload per address space, or T would be deduced with the space in it.
#define MSL_RV(SPACE)                                \
  template <class T>                                 \
  constexpr MSL_INLINE T rv(const SPACE T& x) {      \
    return x;                                        \
  }                                                  \
  template <class T, size_t N>                       \
  constexpr MSL_INLINE SPACE T* rv(SPACE T(&x)[N]) { \
    return x;                                        \
  }
MSL_RV()
MSL_RV(__private)
MSL_RV(__global)
MSL_RV(__local)
MSL_RV(__constant)
#undef MSL_RV
}  // namespace msl
