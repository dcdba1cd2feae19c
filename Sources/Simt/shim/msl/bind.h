// From a kernel's parameter list to a call: the rewriter writes `msl::call<...>(kernel)`, with one code per parameter,
// and the parameters' types are deduced here. A wrong type for a builtin is an error here. MSL specification section
// 5.2 (attributes of arguments), table 5.8 (types of the builtins).
#pragma once
#include "atomic.h"
#include "simdgroup_matrix.h"

#ifdef MSL_SAN
// Tells the runtime that this module reports its loads and stores.
extern "C" {
extern __attribute__((used)) const __constant int simt_module_hooks = 1;
}
#endif

namespace msl {
enum argument_kind { KIND_BUFFER = 0x000, KIND_THREADGROUP = 0x100, KIND_BUILTIN = 0x200 };

constexpr MSL_INLINE uint kind_of(uint code) {
  return code & 0x300;
}

template <class T>
struct is_builtin_scalar : metal::bool_constant<metal::is_same<T, uint>::value || metal::is_same<T, ushort>::value> {};

template <class P, uint Code>
struct argument {
  static_assert(kind_of(Code) == KIND_BUILTIN,
                "a buffer argument is a pointer or a reference to device, constant or threadgroup memory");
  static_assert(is_builtin_scalar<P>::value, "a builtin argument is ushort or uint, or a vector of them");
  static P get() {
    uint v[3];
    simt_builtin(Code & 0xff, v);
    return (P)v[0];
  }
};
template <class T, int N, uint Code>
struct argument<metal::vec<T, N>, Code> {
  static_assert(kind_of(Code) == KIND_BUILTIN,
                "a buffer argument is a pointer or a reference to device, constant or threadgroup memory");
  static_assert((Code & 0xff) < SIMT_THREAD_INDEX_IN_THREADGROUP, "this builtin is a scalar");
  static_assert(is_builtin_scalar<T>::value && N <= 3,
                "a builtin argument is ushort or uint, or a vector of two or three of them");
  static metal::vec<T, N> get() {
    uint v[3];
    simt_builtin(Code & 0xff, v);
    metal::vec<T, N> r;
    for (int i = 0; i < N; i++) r[i] = (T)v[i];
    return r;
  }
};
template <class T, uint Code>
struct argument<__global T*, Code> {
  static_assert(kind_of(Code) == KIND_BUFFER, "a device pointer is bound to [[buffer(n)]]");
  static __global T* get() { return (__global T*)simt_buffer(Code & 0xff); }
};
template <class T, uint Code>
struct argument<__constant T*, Code> {
  static_assert(kind_of(Code) == KIND_BUFFER, "a constant pointer is bound to [[buffer(n)]]");
  static __constant T* get() { return (__constant T*)simt_buffer(Code & 0xff); }
};
template <class T, uint Code>
struct argument<__local T*, Code> {
  static_assert(kind_of(Code) == KIND_THREADGROUP, "a threadgroup pointer is bound to [[threadgroup(n)]]");
  static __local T* get() { return (__local T*)simt_threadgroup_buffer(Code & 0xff); }
};
template <class T, uint Code>
struct argument<__global T&, Code> {
  static_assert(kind_of(Code) == KIND_BUFFER, "a device reference is bound to [[buffer(n)]]");
  static __global T& get() { return *(__global T*)simt_buffer(Code & 0xff); }
};
template <class T, uint Code>
struct argument<__constant T&, Code> {
  static_assert(kind_of(Code) == KIND_BUFFER, "a constant reference is bound to [[buffer(n)]]");
  static __constant T& get() { return *(__constant T*)simt_buffer(Code & 0xff); }
};
template <class T, uint Code>
struct argument<__local T&, Code> {
  static_assert(kind_of(Code) == KIND_THREADGROUP, "a threadgroup reference is bound to [[threadgroup(n)]]");
  static __local T& get() { return *(__local T*)simt_threadgroup_buffer(Code & 0xff); }
};

template <uint... Code, class... P>
MSL_INLINE void call(void (*f)(P...)) {
  f(argument<P, Code>::get()...);
}

/// Parameters such as `void (*f)(device const T*, thread U&)` of a template: decltype of this has the pointee that
/// clang expects of a function's address.
template <class R, class... P>
R prototype(P...);
}  // namespace msl
