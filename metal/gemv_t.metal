// Matrix-vector products with weights that lie along n (a plain [k, n] matrix): lanes own outputs and walk down k, so
// that a simdgroup reads whole lines; the simdgroups of a threadgroup share k.
#include "common/memory.h"
#include "generated/matmul.h"
// The epilogue reads the function constants.
#include "common/epilogue.h"

using namespace metal;

namespace tw {

/// sums[c * V + i] += a[m0 + c, k] * weights[n0 + i, k] over this simdgroup's share of k, four steps at a time.
template <uint V, uint C>
METAL_FUNC void walk(constant tw_matmul_params& p, device const uchar* a, device const uchar* weights, long k_stride,
                     uint m0, uint simd, thread float* sums) {
  const uint k_end = uint(p.k);
  for (uint k = simd * 4; k < k_end; k += fc_simdgroups * 4) {
    for (uint c = 0; c < C; c++) {
      const long row = long(min(m0 + c, uint(p.m) - 1)) * p.a_stride[0];
      float x[4];
      if (fc_a_vector == 1) {
        const float4 v = load_vector(a, fc_a_dtype, row + k);
        x[0] = v.x;
        x[1] = v.y;
        x[2] = v.z;
        x[3] = v.w;
      } else {
        for (uint i = 0; i < 4; i++) {
          x[i] = 0.0f;
          if (k + i < k_end) x[i] = load_element(a, fc_a_dtype, row + long(k + i) * p.a_stride[1]);
        }
      }
      for (uint i = 0; i < 4 && k + i < k_end; i++) {
        const long at = long(k + i) * k_stride;
        if (V == 4) {
          const float4 w = load_vector(weights, fc_b_dtype, at);
          for (uint j = 0; j < V; j++) sums[c * V + j] = fma(w[j], x[i], sums[c * V + j]);
        } else {
          sums[c] = fma(load_element(weights, fc_b_dtype, at), x[i], sums[c]);
        }
      }
    }
  }
}

/// Adds the sums of all simdgroups; the first one ends with the totals. One column at a time, to need little memory.
template <uint V, uint C>
METAL_FUNC void add_simdgroups(thread float* sums, threadgroup float* partial, uint simd, uint lane) {
  for (uint c = 0; c < C && fc_simdgroups > 1; c++) {
    for (uint j = 0; j < V; j++) partial[(simd * V + j) * 32 + lane] = sums[c * V + j];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (simd == 0) {
      for (uint s = 1; s < fc_simdgroups; s++) {
        for (uint j = 0; j < V; j++) sums[c * V + j] += partial[(s * V + j) * 32 + lane];
      }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
}

template <uint V, uint C>
METAL_FUNC void gemv_columns(TW_MATMUL_PARAMETERS, threadgroup float* partial, uint3 group, uint lane, uint simd) {
  const uint n0 = (group.x * 32 + lane) * V;
  const uint m0 = group.y * C;
  const uint n_end = uint(p.n);
  const long bytes = long(dtype_bytes(fc_b_dtype));
  device const uchar* own_a = a + batch_offset(p.batch, p.a_batch, group.z) * long(dtype_bytes(fc_a_dtype));
  float sums[V * C];
  for (uint i = 0; i < V * C; i++) sums[i] = 0.0f;
  if (n0 < n_end) {
    const long from = batch_offset(p.batch, p.b_batch, group.z) + long(n0) * p.b_stride[0];
    walk<V, C>(p, own_a, b + from * bytes, p.b_stride[1], m0, simd, sums);
  }
  add_simdgroups<V, C>(sums, partial, simd, lane);
  float gate_sums[V * C];
  for (uint i = 0; i < V * C; i++) gate_sums[i] = 0.0f;
  if (has_gate) {
    if (n0 < n_end) {
      const long from = batch_offset(p.batch, p.gate_batch, group.z) + long(n0) * p.gate_stride[0];
      walk<V, C>(p, own_a, gate + from * bytes, p.gate_stride[1], m0, simd, gate_sums);
    }
    add_simdgroups<V, C>(gate_sums, partial, simd, lane);
  }
  if (simd != 0) return;
  const Epilogue epilogue = make_epilogue(p, out, bias, residual, gate_bias, group.z);
  for (uint c = 0; c < C; c++) {
    for (uint j = 0; j < V; j++) {
      if (m0 + c < uint(p.m) && n0 + j < n_end) {
        epilogue.store(p, m0 + c, n0 + j, sums[c * V + j], gate_sums[c * V + j]);
      }
    }
  }
}

template <uint C>
kernel void gemv_t(TW_MATMUL_ARGUMENTS, threadgroup float* partial [[threadgroup(0)]],
                   uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                   ushort simd [[simdgroup_index_in_threadgroup]]) {
  if (fc_b_vector != 0) {
    gemv_columns<4, C>(TW_MATMUL_PASSED, partial, group, lane, simd);
  } else {
    gemv_columns<1, C>(TW_MATMUL_PASSED, partial, group, lane, simd);
  }
}

}  // namespace tw

#define TW_GEMV_T(C) template [[host_name("gemv_t_c" #C)]] [[kernel]] decltype(tw::gemv_t<C>) tw::gemv_t<C>;
TW_GEMV_T(1)
TW_GEMV_T(2)
TW_GEMV_T(4)
TW_GEMV_T(8)
