// Tiled GEMM on simdgroup_matrix: a threadgroup computes BM x BN outputs, WM x WN simdgroups share them. Operands of any
// strides, or blocks that are decoded, go to tiles of type T in threadgroup memory; products are added in f32.
#include "common/memory.h"
#include "generated/matmul.h"
// The epilogue reads the function constants.
#include "common/epilogue.h"
#include "common/tiles.h"
#include "formats/formats.h"
#include <metal_simdgroup_matrix>

using namespace metal;

namespace tw {

/// acc += one tile of a times one of the weights, for this simdgroup's part of the outputs.
template <class T, uint BK, uint TM, uint TN>
METAL_FUNC void multiply(const threadgroup T* ta, const threadgroup T* tb, uint row, uint col,
                         thread simdgroup_float8x8* acc) {
  for (uint k = 0; k < BK; k += 8) {
    simdgroup_matrix<T, 8, 8> ma[TM];
    simdgroup_matrix<T, 8, 8> mb[TN];
    for (uint i = 0; i < TM; i++) simdgroup_load(ma[i], ta + Blocks8<BK>::at(row + 8 * i, k), 8);
    // The weights' blocks are [n][k].
    for (uint j = 0; j < TN; j++) simdgroup_load(mb[j], tb + Blocks8<BK>::at(col + 8 * j, k), 8, ulong2(0), true);
    for (uint i = 0; i < TM; i++) {
      for (uint j = 0; j < TN; j++) {
        simdgroup_multiply_accumulate(acc[i * TN + j], ma[i], mb[j], acc[i * TN + j]);
      }
    }
  }
}

template <class W, class T, uint BM, uint BN, uint BK, uint WM, uint WN>
kernel void gemm(TW_MATMUL_ARGUMENTS, threadgroup uchar* memory [[threadgroup(0)]],
                 uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                 ushort simd [[simdgroup_index_in_threadgroup]]) {
  enum : uint { threads = 32 * WM * WN, TM = BM / WM / 8, TN = BN / WN / 8 };
  typedef Blocks8<BK> Layout;
  const uint thread_index = simd * 32 + lane;
  threadgroup T* ta = (threadgroup T*)memory;
  threadgroup T* tb = ta + BM * BK;
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

  simdgroup_float8x8 acc[TM * TN];
  simdgroup_float8x8 gate_acc[TM * TN];
  for (uint i = 0; i < TM * TN; i++) {
    acc[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    gate_acc[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
  }
  const uint row = simd / WN * (BM / WM);
  const uint col = simd % WN * (BN / WN);
  for (uint k = 0; k < sa.k_end; k += BK) {
    sa.k = k;
    sb.k = k;
    Plain::load<Layout, T, BM, BK, threads>(sa, fc_a_dtype, false, whole, ta, thread_index);
    W::template load<Layout, T, BN, BK, threads>(sb, fc_b_dtype, wide, whole, tb, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    multiply<T, BK, TM, TN>(ta, tb, row, col, acc);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (has_gate) {
      sg.k = k;
      W::template load<Layout, T, BN, BK, threads>(sg, fc_b_dtype, wide, whole, tb, thread_index);
      threadgroup_barrier(mem_flags::mem_threadgroup);
      multiply<T, BK, TM, TN>(ta, tb, row, col, gate_acc);
      threadgroup_barrier(mem_flags::mem_threadgroup);
    }
  }

  // A plain product goes from the registers to its place. (The instruction's stride is unsigned.)
  const bool plain = whole && !has_bias && !has_residual && !has_gate && fc_activation == TW_ACT_NONE &&
                     fc_out_dtype == TW_DTYPE_F32;
  if (plain && p.alpha == 1.0f && p.out_stride[1] == 1 && p.out_stride[0] > 0) {
    device float* to = (device float*)out + batch_offset(p.batch, p.out_batch, group.z) +
                       long(sa.row + row) * p.out_stride[0] + long(sb.row + col);
    for (uint i = 0; i < TM; i++) {
      for (uint j = 0; j < TN; j++) {
        device float* const at = to + long(8 * i) * p.out_stride[0] + long(8 * j);
        simdgroup_store(acc[i * TN + j], at, ulong(p.out_stride[0]));
      }
    }
    return;
  }

  // Which lane holds which element is not specified, so each simdgroup lays eight of its rows out in its own memory.
  enum : uint { strip = 8 * 8 * TN };
  threadgroup float* sums = (threadgroup float*)memory + simd * strip;
  threadgroup float* gate_sums = (threadgroup float*)memory + (WM * WN + simd) * strip;
  const Epilogue epilogue = make_epilogue(p, out, bias, residual, gate_bias, group.z);
  for (uint i = 0; i < TM; i++) {
    for (uint j = 0; j < TN; j++) simdgroup_store(acc[i * TN + j], sums + 8 * j, 8 * TN);
    if (has_gate) {
      for (uint j = 0; j < TN; j++) simdgroup_store(gate_acc[i * TN + j], gate_sums + 8 * j, 8 * TN);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = lane; e < strip; e += 32) {
      const uint m = sa.row + row + 8 * i + e / (8 * TN);
      const uint n = sb.row + col + e % (8 * TN);
      if (whole || (m < sa.rows && n < sb.rows)) {
        float gate_sum = 0.0f;
        if (has_gate) gate_sum = gate_sums[e];
        epilogue.store(p, m, n, sums[e], gate_sum);
      }
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
  }
}

}  // namespace tw

#define TW_GEMM_AS(W, NAME, T, TNAME, M, N, K, WM, WN)                                                 \
  template [[host_name("gemm_" #NAME "_" #TNAME "_" #M "x" #N "x" #K "_" #WM "x" #WN)]] [[kernel]]      \
  decltype(tw::gemm<W, T, M, N, K, WM, WN>) tw::gemm<W, T, M, N, K, WM, WN>;
#define TW_GEMM(W, NAME, M, N, K, WM, WN)               \
  TW_GEMM_AS(W, NAME, float, f32, M, N, K, WM, WN)      \
  TW_GEMM_AS(W, NAME, half, f16, M, N, K, WM, WN)

// The tiles of GEMM_TILES in ts/kernels/metal/matmul.ts.
TW_GEMM(tw::Plain, dense, 8, 64, 32, 1, 2)
TW_GEMM(tw::Plain, dense, 16, 64, 32, 1, 2)
TW_GEMM(tw::Plain, dense, 32, 32, 16, 2, 2)
TW_GEMM(tw::Plain, dense, 64, 32, 32, 2, 2)
TW_GEMM(tw::Plain, dense, 32, 64, 16, 1, 2)
TW_GEMM(tw::Plain, dense, 64, 64, 16, 2, 2)
TW_GEMM(tw::Plain, dense, 64, 64, 16, 1, 2)
TW_GEMM(tw::Plain, dense, 64, 32, 8, 4, 1)
TW_GEMM(tw::Plain, dense, 128, 64, 16, 2, 2)

#define TW_GEMM_FORMAT(TYPE, NAME)                              \
  TW_GEMM(tw::Quantized<tw::TYPE>, NAME, 8, 64, 32, 1, 2)       \
  TW_GEMM(tw::Quantized<tw::TYPE>, NAME, 16, 64, 32, 1, 2)      \
  TW_GEMM(tw::Quantized<tw::TYPE>, NAME, 64, 32, 32, 2, 2)      \
  TW_GEMM_AS(tw::Quantized<tw::TYPE>, NAME, float, f32, 128, 64, 16, 2, 2)
TW_FOR_EACH_FORMAT(TW_GEMM_FORMAT)
