// GEMV of quantized weights by f32 activations, compiled once per format.
#include "common/gemv_exact.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_INSTANCE(suffix, C, gated)                                                             \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemv_exact_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                                             \
    tw::gemv_exact<tw::TW_FORMAT, C, gated>(TW_HIP_MATMUL_PASSED, partial);                       \
  }

TW_INSTANCE(_c1, 1, false)
TW_INSTANCE(_c1_gate, 1, true)
TW_INSTANCE(_c4, 4, false)
TW_INSTANCE(_c4_gate, 4, true)
TW_INSTANCE(_c8, 8, false)
TW_INSTANCE(_c8_gate, 8, true)
