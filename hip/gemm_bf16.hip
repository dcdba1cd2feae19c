// GEMM of decoded weights, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols.
#include "common/gemm_own.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_GEMM(M, suffix, gated)                                                        \
  TW_KERNEL_BESIDE(256, (tw::Gemm<tw::TW_FORMAT, M, gated>::beside))                     \
  TW_NAME(TW_NAME(gemm_bf16_, TW_FORMAT_NAME), _m##M##suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    TW_SHARED tw::u32x4 tile[tw::Gemm<tw::TW_FORMAT, M, gated>::lds / 16];               \
    tw::Gemm<tw::TW_FORMAT, M, gated>::run(TW_HIP_MATMUL_PASSED, (tw::u8*)tile);         \
  }
TW_GEMM(16, , false)
TW_GEMM(16, _gate, true)
TW_GEMM(32, , false)
TW_GEMM(32, _gate, true)
TW_GEMM(64, , false)
TW_GEMM(64, _gate, true)
TW_GEMM(128, , false)
TW_GEMM(128, _gate, true)
