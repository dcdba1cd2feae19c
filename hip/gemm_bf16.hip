// GEMM of decoded weights, compiled once per format: TW_FORMAT is its type, TW_FORMAT_NAME its name in symbols. The
// fewer rows of activations, the more along k at a time: so few products hide no loads.
#include "common/gemm_bf16.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)
#define TW_GEMM(M, K, suffix, gated)                                                                              \
  TW_KERNEL_BESIDE(256, 2) TW_NAME(TW_NAME(gemm_bf16_, TW_FORMAT_NAME), _m##M##suffix)(TW_HIP_MATMUL_ARGUMENTS) { \
    TW_SHARED tw::u32x4 tile[tw::GemmBF16<tw::TW_FORMAT, M, K, gated>::lds / 16];                                 \
    tw::gemm_bf16<tw::TW_FORMAT, M, K, gated>(TW_HIP_MATMUL_PASSED, (tw::u8*)tile);                               \
  }
TW_GEMM(32, 128, , false)
TW_GEMM(32, 128, _gate, true)
TW_GEMM(64, 128, , false)
TW_GEMM(64, 128, _gate, true)
TW_GEMM(128, 64, , false)
TW_GEMM(128, 64, _gate, true)
