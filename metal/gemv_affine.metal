// Matrix-vector products with plain weights of any dtype, integers too, and affine ones: w = scale * (q - zero) + offset,
// with one entry of each for a row and a group along k. A simdgroup computes one output along n for C rows of a, reading
// its weights once; lanes take neighbouring k.
#include "common/memory.h"
#include "generated/matmul.h"
// The epilogue reads the function constants.
#include "common/epilogue.h"

using namespace metal;

namespace tw {

/// Where the entries of one row of weights lie, and how far apart those of its groups are.
struct AffineRow {
  device const float* scale;
  device const float* zero;
  device const float* offset;
  long scale_step, zero_step, offset_step;
};

/// Each step is rounded to f32, as on the CPU.
METAL_FUNC float affine(AffineRow row, bool has_s, bool has_z, bool has_o, long group, float q) {
  if (has_z) q -= row.zero[group * row.zero_step];
  if (has_s) q *= row.scale[group * row.scale_step];
  if (has_o) q += row.offset[group * row.offset_step];
  return q;
}

/// sums[c] = the product of a row of weights with row m0 + c of a. Rows beyond the end repeat the last one.
template <uint C>
METAL_FUNC void dot_row(constant tw_matmul_params& p, device const uchar* a, device const uchar* weights, long k_stride,
                        AffineRow row, bool has_s, bool has_z, bool has_o, uint m0, uint lane, thread float* sums) {
  const bool groups = has_s || has_z || has_o;
  for (uint c = 0; c < C; c++) sums[c] = 0.0f;
  for (uint k = lane; k < uint(p.k); k += 32) {
    float w = load_element(weights, fc_b_dtype, long(k) * k_stride);
    if (groups) w = affine(row, has_s, has_z, has_o, long(k) / p.group, w);
    for (uint c = 0; c < C; c++) {
      const long at = long(min(m0 + c, uint(p.m) - 1)) * p.a_stride[0] + long(k) * p.a_stride[1];
      sums[c] = fma(w, load_element(a, fc_a_dtype, at), sums[c]);
    }
  }
  for (uint c = 0; c < C; c++) sums[c] = simd_sum(sums[c]);
}

template <uint C>
kernel void gemv_affine(TW_MATMUL_ARGUMENTS, uint3 group [[threadgroup_position_in_grid]],
                        ushort lane [[thread_index_in_simdgroup]], ushort simd [[simdgroup_index_in_threadgroup]]) {
  const uint n = group.x * fc_simdgroups + simd;
  const uint m0 = group.y * C;
  // Whole simdgroups leave; the others meet at no barrier.
  if (n >= uint(p.n)) return;
  const long element = long(dtype_bytes(fc_b_dtype));
  device const uchar* own_a = a + batch_offset(p.batch, p.a_batch, group.z) * long(dtype_bytes(fc_a_dtype));
  AffineRow row;
  if (has_scale) row.scale = (device const float*)scale + long(n) * p.scale_stride[0];
  if (has_zero) row.zero = (device const float*)zero + long(n) * p.zero_stride[0];
  if (has_offset) row.offset = (device const float*)offset + long(n) * p.offset_stride[0];
  row.scale_step = p.scale_stride[1];
  row.zero_step = p.zero_stride[1];
  row.offset_step = p.offset_stride[1];
  float sums[C];
  device const uchar* own_b = b + (batch_offset(p.batch, p.b_batch, group.z) + long(n) * p.b_stride[0]) * element;
  dot_row<C>(p, own_a, own_b, p.b_stride[1], row, has_scale, has_zero, has_offset, m0, lane, sums);

  float gate_sums[C];
  for (uint c = 0; c < C; c++) gate_sums[c] = 0.0f;
  if (has_gate) {
    if (has_gate_scale) row.scale = (device const float*)gate_scale + long(n) * p.gate_scale_stride[0];
    if (has_gate_zero) row.zero = (device const float*)gate_zero + long(n) * p.gate_zero_stride[0];
    if (has_gate_offset) row.offset = (device const float*)gate_offset + long(n) * p.gate_offset_stride[0];
    row.scale_step = p.gate_scale_stride[1];
    row.zero_step = p.gate_zero_stride[1];
    row.offset_step = p.gate_offset_stride[1];
    own_b = gate + (batch_offset(p.batch, p.gate_batch, group.z) + long(n) * p.gate_stride[0]) * element;
    dot_row<C>(p, own_a, own_b, p.gate_stride[1], row, has_gate_scale, has_gate_zero, has_gate_offset, m0, lane,
               gate_sums);
  }
  const Epilogue epilogue = make_epilogue(p, out, bias, residual, gate_bias, group.z);
  for (uint c = 0; c < C; c++) {
    // Lane c stores the output of column c.
    if (lane == c && m0 + c < uint(p.m)) epilogue.store(p, m0 + c, n, sums[c], gate_sums[c]);
  }
}

}  // namespace tw

#define TW_GEMV_AFFINE(C) \
  template [[host_name("gemv_affine_c" #C)]] [[kernel]] decltype(tw::gemv_affine<C>) tw::gemv_affine<C>;
TW_GEMV_AFFINE(1)
TW_GEMV_AFFINE(4)
