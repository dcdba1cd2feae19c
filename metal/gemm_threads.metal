// Tiled GEMM without simdgroup_matrix, for devices that lack it: each thread adds up a 4 x 4 part of the tile in
// registers. Its rows and columns are 1/4 of the tile apart, so that neighbours read neighbouring tile rows.
#include "common/memory.h"
#include "generated/matmul.h"
// The epilogue reads the function constants.
#include "common/epilogue.h"
#include "common/tiles.h"
#include "formats/formats.h"

using namespace metal;

namespace tw {

template <uint BM, uint BN, uint BK>
METAL_FUNC void multiply_threads(const threadgroup float* ta, const threadgroup float* tb, uint row, uint col,
                                 thread float* sums) {
  typedef PaddedRows<BK> Layout;
  for (uint k = 0; k < BK; k++) {
    float x[4];
    float y[4];
    for (uint i = 0; i < 4; i++) x[i] = ta[Layout::at(row + i * (BM / 4), k)];
    for (uint j = 0; j < 4; j++) y[j] = tb[Layout::at(col + j * (BN / 4), k)];
    for (uint i = 0; i < 4; i++) {
      for (uint j = 0; j < 4; j++) sums[4 * i + j] = fma(x[i], y[j], sums[4 * i + j]);
    }
  }
}

template <class W, uint BM, uint BN, uint BK>
kernel void gemm_threads(TW_MATMUL_ARGUMENTS, threadgroup float* memory [[threadgroup(0)]],
                         uint3 group [[threadgroup_position_in_grid]],
                         ushort thread_index [[thread_index_in_threadgroup]]) {
  enum : uint { threads = BM * BN / 16 };
  typedef PaddedRows<BK> Layout;
  threadgroup float* ta = memory;
  threadgroup float* tb = ta + BM * (BK + 1);
  const bool whole = fc_whole != 0;
  const bool wide = fc_b_vector != 0;

  Slab sa;
  sa.base = a + batch_offset(p.batch, p.a_batch, group.z) * long(dtype_bytes(fc_a_dtype));
  sa.row_stride = p.a_stride[0];
  sa.k_stride = p.a_stride[1];
  sa.row = group.y * BM;
  sa.rows = uint(p.m);
  sa.k_end = uint(p.k);
  sa.vectors = fc_a_vector;
  Slab sb;
  sb.base = b + batch_offset(p.batch, p.b_batch, group.z) * W::unit(fc_b_dtype);
  sb.row_stride = p.b_stride[0];
  sb.k_stride = p.b_stride[1];
  sb.row = group.x * BN;
  sb.rows = uint(p.n);
  sb.k_end = uint(p.k);
  sb.vectors = fc_b_vector;
  Slab sg = sb;
  if (has_gate) {
    sg.base = gate + batch_offset(p.batch, p.gate_batch, group.z) * W::unit(fc_b_dtype);
    sg.row_stride = p.gate_stride[0];
    sg.k_stride = p.gate_stride[1];
  }

  float sums[16];
  float gate_sums[16];
  for (uint i = 0; i < 16; i++) {
    sums[i] = 0.0f;
    gate_sums[i] = 0.0f;
  }
  const uint row = thread_index / (BN / 4);
  const uint col = thread_index % (BN / 4);
  for (uint k = 0; k < sa.k_end; k += BK) {
    sa.k = k;
    sb.k = k;
    Plain::load<Layout, float, BM, BK, threads>(sa, fc_a_dtype, false, whole, ta, thread_index);
    W::template load<Layout, float, BN, BK, threads>(sb, fc_b_dtype, wide, whole, tb, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply_threads<BM, BN, BK>(ta, tb, row, col, sums);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (has_gate) {
      sg.k = k;
      W::template load<Layout, float, BN, BK, threads>(sg, fc_b_dtype, wide, whole, tb, thread_index);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      multiply_threads<BM, BN, BK>(ta, tb, row, col, gate_sums);
      threadgroup_barrier(mem_flags::mem_threadgroup);
    }
  }

  const Epilogue epilogue = make_epilogue(p, out, bias, residual, gate_bias, group.z);
  for (uint i = 0; i < 4; i++) {
    for (uint j = 0; j < 4; j++) {
      const uint m = sa.row + row + i * (BM / 4);
      const uint n = sb.row + col + j * (BN / 4);
      if (whole || (m < sa.rows && n < sb.rows)) epilogue.store(p, m, n, sums[4 * i + j], gate_sums[4 * i + j]);
    }
  }
}

}  // namespace tw

#define TW_GEMM_THREADS(W, NAME, M, N, K)                                             \
  template [[host_name("gemm_threads_" #NAME "_" #M "x" #N "x" #K)]] [[kernel]]       \
  decltype(tw::gemm_threads<W, M, N, K>) tw::gemm_threads<W, M, N, K>;

// The tiles of THREAD_TILES in ts/kernels/metal/matmul.ts.
TW_GEMM_THREADS(tw::Plain, dense, 16, 64, 32)
TW_GEMM_THREADS(tw::Plain, dense, 64, 64, 16)
#define TW_GEMM_THREADS_FORMAT(TYPE, NAME)                      \
  TW_GEMM_THREADS(tw::Quantized<tw::TYPE>, NAME, 16, 64, 32)    \
  TW_GEMM_THREADS(tw::Quantized<tw::TYPE>, NAME, 64, 64, 16)
TW_FOR_EACH_FORMAT(TW_GEMM_THREADS_FORMAT)
