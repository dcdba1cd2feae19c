// Quantized GEMV, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemv.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_INSTANCE(suffix, C, R, gated)                                                   \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                                      \
    tw::gemv<tw::TW_FORMAT, C, R, gated>(TW_HIP_MATMUL_PASSED, partial);                   \
  }
#define TW_GEMV(C, R)                      \
  TW_INSTANCE(_c##C##_r##R, C, R, false)    \
  TW_INSTANCE(_c##C##_r##R##_gate, C, R, true)

TW_GEMV(1, 1)
TW_GEMV(2, 1)
TW_GEMV(4, 1)
TW_GEMV(8, 1)
#if defined(TW_NVIDIA)
TW_GEMV(2, 2)
TW_GEMV(4, 4)
TW_GEMV(8, 2)
TW_GEMV(8, 4)
#endif
