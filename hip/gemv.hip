// Quantized GEMV, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemv.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_GEMV(C, R)                                                                       \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), _c##C##_r##R)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                                       \
    tw::gemv<tw::TW_FORMAT, C, R, false>(TW_HIP_MATMUL_PASSED, partial);                    \
  }                                                                                         \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemv_, TW_FORMAT_NAME), _c##C##_r##R##_gate)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                                       \
    tw::gemv<tw::TW_FORMAT, C, R, true>(TW_HIP_MATMUL_PASSED, partial);                     \
  }

TW_GEMV(1, 1)
TW_GEMV(2, 1)
TW_GEMV(4, 1)
TW_GEMV(8, 1)
