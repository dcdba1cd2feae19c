// Quantized GEMM, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemm_q8.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_GEMM(suffix, gated)                                                              \
  TW_KERNEL(256) TW_NAME(TW_NAME(gemm_, TW_FORMAT_NAME), suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    TW_SHARED tw::u32x4 tile[tw::GemmQ8<tw::TW_FORMAT, gated>::lds / 16];                   \
    tw::gemm_q8<tw::TW_FORMAT, gated>(TW_HIP_MATMUL_PASSED, (tw::u8*)tile);                 \
  }
TW_GEMM(, false)
TW_GEMM(_gate, true)
