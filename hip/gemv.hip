// Quantized GEMV, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemv_tile.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_INSTANCE(kernel, suffix, C, R, gated)                                    \
  kernel TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                               \
    tw::gemv<tw::TW_FORMAT, C, R, gated>(TW_HIP_MATMUL_PASSED, partial);            \
  }
// NVIDIA's compiler is told how many workgroups are to run beside each other, and so how many registers there are. Of
// itself it takes fewer and asks for operands when it wants them: one row is up to 18 % slower, four rows up to 45 %.
#define TW_GEMV(C, R, beside)                                           \
  TW_INSTANCE(TW_KERNEL_BESIDE(256, beside), _c##C##_r##R, C, R, false) \
  TW_INSTANCE(TW_KERNEL_BESIDE(256, beside), _c##C##_r##R##_gate, C, R, true)

#if defined(TW_NVIDIA)
TW_GEMV(1, 1, 4)
TW_INSTANCE(TW_KERNEL_BESIDE(256, 4), _c1_r2, 1, 2, false)
TW_INSTANCE(TW_KERNEL_BESIDE(256, 4), _c2_r2, 2, 2, false)
TW_INSTANCE(TW_KERNEL_BESIDE(256, 2), _c2_r2_gate, 2, 2, true)
TW_INSTANCE(TW_KERNEL_BESIDE(256, 2), _c4_r4, 4, 4, false)
TW_INSTANCE(TW_KERNEL(256), _c4_r4_gate, 4, 4, true)
#elif !defined(TW_TILE_MMA)
TW_GEMV(1, 1, 4)
TW_GEMV(2, 1, 4)
TW_GEMV(4, 1, 2)
TW_GEMV(8, 1, 1)
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
#endif
