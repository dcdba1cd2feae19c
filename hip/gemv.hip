// Quantized GEMV, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemv_tile.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_INSTANCE(suffix, C, R, gated)                                                    \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                                       \
    tw::gemv<tw::TW_FORMAT, C, R, gated>(TW_HIP_MATMUL_PASSED, partial);                    \
  }
#define TW_GEMV(C, R)                    \
  TW_INSTANCE(_c##C##_r##R, C, R, false) \
  TW_INSTANCE(_c##C##_r##R##_gate, C, R, true)

#if !defined(TW_TILE_MMA) || !defined(__SIMT__)
TW_GEMV(1, 1)
TW_GEMV(2, 1)
TW_GEMV(4, 1)
#endif
#if defined(TW_NVIDIA)
TW_GEMV(2, 2)
TW_GEMV(4, 4)
#endif

#if defined(TW_TILE_MMA)
// LDS leaves room for about 16 waves of a processor; fewer registers than they may have are 4 % slower.
#define TW_TILE(suffix, gated)                                                                        \
  TW_KERNEL_BESIDE(128, 4) TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED tw::u32x4 memory[];                                                              \
    tw::gemv_tile<tw::TW_FORMAT, gated>(TW_HIP_MATMUL_PASSED, (tw::u8*)memory);                       \
  }
TW_TILE(_c8_r16, false)
TW_TILE(_c8_r16_gate, true)
#else
TW_GEMV(8, 1)
#endif
