// GEMM of plain matrices, any dtypes and strides: products of f32, f16 or bf16.
#include "common/gemm_dense.h"

#define TW_GEMM_DENSE(name, kind, gated)                                  \
  TW_KERNEL(256) gemm_dense_##name(TW_HIP_MATMUL_ARGUMENTS) {             \
    TW_SHARED tw::u32x4 tile[tw::GemmDense<kind, gated>::Tile::lds / 16]; \
    tw::gemm_dense<kind, gated>(TW_HIP_MATMUL_PASSED, (tw::u8*)tile);     \
  }
TW_GEMM_DENSE(f32, TW_DTYPE_F32, false)
TW_GEMM_DENSE(f32_gate, TW_DTYPE_F32, true)
TW_GEMM_DENSE(f16, TW_DTYPE_F16, false)
TW_GEMM_DENSE(f16_gate, TW_DTYPE_F16, true)
TW_GEMM_DENSE(bf16, TW_DTYPE_BF16, false)
TW_GEMM_DENSE(bf16_gate, TW_DTYPE_BF16, true)
