// Scalar types. MSL specification section 2.1, table 2.1.
#pragma once

#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#pragma OPENCL EXTENSION __cl_clang_function_pointers : enable

typedef signed char schar;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef __SIZE_TYPE__ size_t;
typedef __PTRDIFF_TYPE__ ptrdiff_t;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef ulong uintptr_t;
typedef __bf16 bfloat;

// The address spaces of MSL section 4. The rewriter writes these names. `thread` has two readings: strict, to find
// address-space mistakes, and generic, in which every valid program compiles.
#define MSL_DEVICE __global
#define MSL_THREADGROUP __local
#define MSL_CONSTANT const __constant
#ifdef MSL_THREAD_GENERIC
#define MSL_THREAD
#else
#define MSL_THREAD __private
#endif

#define MSL_INLINE inline __attribute__((always_inline))

namespace metal {
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::ptrdiff_t;
using ::size_t;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
}  // namespace metal
