// GEMV over an expert index list, compiled once per format.
#include "common/moe.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
// For NVIDIA's compiler, see gemv.hip: the same loop in the GEMV, four columns by one row, is 2 to 16 % faster.
#define TW_MOE(suffix, beside, gated)                                              \
  TW_KERNEL_BESIDE(256, beside)                                                    \
  TW_NAME(TW_NAME(moe_gemv_, TW_FORMAT_NAME), suffix)(TW_HIP_MOE_GEMV_ARGUMENTS) { \
    extern TW_SHARED float partial[];                                              \
    tw::moe_gemv<tw::TW_FORMAT, 1, gated>(TW_HIP_MOE_GEMV_PASSED, partial);        \
  }
TW_MOE(_c4_r1, 3, false)
TW_MOE(_c4_r1_gate, 2, true)
