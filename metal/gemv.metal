// Matrix-vector products and small batches: each simdgroup computes R outputs along n for C rows of a, reading its
// weights once. The lanes share the blocks of a row, so that neighbouring lanes read neighbouring bytes.
#include "common/memory.h"
#include "generated/matmul.h"
// The epilogue reads the function constants.
#include "common/epilogue.h"
#include "formats/dense.h"
#include "formats/formats.h"

using namespace metal;

namespace tw {

/// N activations from element `at` of a row.
template <uint N>
METAL_FUNC void load_run(device const uchar* row, long stride, uint at, thread float* v) {
  if (fc_a_vector == 1 && N % 4 == 0) {
    for (uint i = 0; i < N; i += 4) {
      const float4 x = load_vector(row, fc_a_dtype, at + i);
      v[i] = x.x;
      v[i + 1] = x.y;
      v[i + 2] = x.z;
      v[i + 3] = x.w;
    }
  } else if (fc_a_vector == 1 && N == 2) {
    const float2 x = load_pair(row, fc_a_dtype, at);
    v[0] = x.x;
    v[N - 1] = x.y;
  } else {
    for (uint i = 0; i < N; i++) v[i] = load_element(row, fc_a_dtype, long(at + i) * stride);
  }
}

/// One lane's share of the activations of a block.
template <typename F>
METAL_FUNC void load_share(device const uchar* row, long stride, uint at, thread float* v) {
  for (uint r = 0; r < F::runs; r++) load_run<F::run>(row, stride, at + r * F::step, v + r * F::run);
}
template <typename F>
METAL_FUNC void decode_share(device const uchar* block, uint start, bool wide, thread float* w) {
  for (uint r = 0; r < F::runs; r++) F::decode(block, start + r * F::step, wide, w + r * F::run);
}

/// Where the operands of one launch and batch entry lie.
struct Operands {
  device const uchar* a;
  device const uchar* b;
  long a_row, a_stride;  // elements
  long b_row, b_stride;  // as the format counts them
  uint m, n, k;
};

/// sums[r * C + c] = this lane's part of row n0 + r of the weights times row m0 + c of a. Rows beyond the end repeat the
/// last one; their sums are not stored.
template <typename F, uint R, uint C>
METAL_FUNC void dot_rows(Operands o, uint n0, uint m0, uint lane, uint slice, bool wide, thread float* sums) {
  enum : uint { share = F::run * F::runs };
  const long pitch = F::pitch(o.b_stride);
  const uint blocks = o.k / F::block;
  const uint start = F::start(lane % F::parts);
  device const uchar* rows[R];
  for (uint r = 0; r < R; r++) rows[r] = o.b + long(min(n0 + r, o.n - 1)) * o.b_row * long(F::element);
  device const uchar* columns[C];
  for (uint c = 0; c < C; c++) {
    columns[c] = o.a + long(min(m0 + c, o.m - 1)) * o.a_row * long(dtype_bytes(fc_a_dtype));
  }
  const uint stride = fc_split * (32 / F::parts);
  for (uint block = slice * (32 / F::parts) + lane / F::parts; block < blocks; block += stride) {
    const uint at = block * F::block + start;
    const long from = long(block) * pitch;
    if (C <= 4) {
      // Few columns: their activations stay in registers while the rows pass by.
      float v[C <= 4 ? C : 1][share];
      for (uint c = 0; c < C && C <= 4; c++) load_share<F>(columns[c], o.a_stride, at, v[c]);
      for (uint r = 0; r < R; r++) {
        float w[share];
        decode_share<F>(rows[r] + from, start, wide, w);
        for (uint c = 0; c < C && C <= 4; c++) {
          for (uint i = 0; i < share; i++) sums[r * C + c] = fma(w[i], v[c][i], sums[r * C + c]);
        }
      }
    } else {
      float w[R][share];
      for (uint r = 0; r < R; r++) decode_share<F>(rows[r] + from, start, wide, w[r]);
      for (uint c = 0; c < C; c++) {
        float v[share];
        load_share<F>(columns[c], o.a_stride, at, v);
        for (uint r = 0; r < R; r++) {
          for (uint i = 0; i < share; i++) sums[r * C + c] = fma(w[r][i], v[i], sums[r * C + c]);
        }
      }
    }
  }
}

/// The whole sums, one per lane: lane r * C + c has that of output (r, c).
template <uint R, uint C>
METAL_FUNC float reduce(thread float* sums, threadgroup float* partial, uint simd, uint lane) {
  float mine = 0.0f;
  for (uint i = 0; i < R * C; i++) {
    const float sum = simd_sum(sums[i]);
    if (lane == i) mine = sum;
  }
  if (fc_split > 1) {
    if (lane < R * C) partial[simd * R * C + lane] = mine;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (lane < R * C && simd % fc_split == 0) {
      for (uint s = 1; s < fc_split; s++) mine += partial[(simd + s) * R * C + lane];
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
  }
  return mine;
}

template <typename F, uint R, uint C>
METAL_FUNC void gemv_rows(TW_MATMUL_PARAMETERS, threadgroup float* partial, uint3 group, uint lane, uint simd) {
  const uint n0 = (group.x * (fc_simdgroups / fc_split) + simd / fc_split) * R;
  const uint m0 = group.y * C;
  const uint slice = simd % fc_split;
  Operands o;
  o.m = uint(p.m);
  o.n = uint(p.n);
  o.k = uint(p.k);
  o.a = a + batch_offset(p.batch, p.a_batch, group.z) * long(dtype_bytes(fc_a_dtype));
  o.a_row = p.a_stride[0];
  o.a_stride = p.a_stride[1];
  o.b = b + batch_offset(p.batch, p.b_batch, group.z) * long(F::element);
  o.b_row = p.b_stride[0];
  o.b_stride = p.b_stride[1];
  const bool wide = fc_b_vector != 0;

  float sums[R * C];
  for (uint i = 0; i < R * C; i++) sums[i] = 0.0f;
  if (n0 < o.n) dot_rows<F, R, C>(o, n0, m0, lane, slice, wide, sums);
  const float sum = reduce<R, C>(sums, partial, simd, lane);

  float gate_sum = 0.0f;
  if (has_gate) {
    o.b = gate + batch_offset(p.batch, p.gate_batch, group.z) * long(F::element);
    o.b_row = p.gate_stride[0];
    o.b_stride = p.gate_stride[1];
    for (uint i = 0; i < R * C; i++) sums[i] = 0.0f;
    if (n0 < o.n) dot_rows<F, R, C>(o, n0, m0, lane, slice, wide, sums);
    gate_sum = reduce<R, C>(sums, partial, simd, lane);
  }

  const uint m = m0 + lane % C;
  const uint n = n0 + lane / C;
  if (slice == 0 && lane < R * C && m < o.m && n < o.n) {
    const Epilogue epilogue = make_epilogue(p, out, bias, residual, gate_bias, group.z);
    epilogue.store(p, m, n, sum, gate_sum);
  }
}

template <typename F, uint R, uint C>
kernel void gemv(TW_MATMUL_ARGUMENTS, threadgroup float* partial [[threadgroup(0)]],
                 uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                 ushort simd [[simdgroup_index_in_threadgroup]]) {
  gemv_rows<F, R, C>(TW_MATMUL_PASSED, partial, group, lane, simd);
}

/// Plain weights: vectors of four along k where the host says so, else any strides.
template <uint Dtype, uint R, uint C>
kernel void gemv_dense(TW_MATMUL_ARGUMENTS, threadgroup float* partial [[threadgroup(0)]],
                       uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                       ushort simd [[simdgroup_index_in_threadgroup]]) {
  if (fc_b_vector != 0) {
    gemv_rows<Dense<Dtype, 4>, R, C>(TW_MATMUL_PASSED, partial, group, lane, simd);
  } else {
    gemv_rows<Dense<Dtype, 1>, R, C>(TW_MATMUL_PASSED, partial, group, lane, simd);
  }
}

}  // namespace tw

#define TW_GEMV(TYPE, NAME, R, C)                                 \
  template [[host_name("gemv_" #NAME "_r" #R "_c" #C)]] [[kernel]] \
  decltype(tw::gemv<tw::TYPE, R, C>) tw::gemv<tw::TYPE, R, C>;
#define TW_GEMV_DENSE(TYPE, NAME, R, C)                                 \
  template [[host_name("gemv_" #NAME "_r" #R "_c" #C)]] [[kernel]]       \
  decltype(tw::gemv_dense<TYPE, R, C>) tw::gemv_dense<TYPE, R, C>;

#define TW_EACH_SHAPE(X, TYPE, NAME) \
  X(TYPE, NAME, 4, 1)                \
  X(TYPE, NAME, 4, 2)                \
  X(TYPE, NAME, 2, 4)                \
  X(TYPE, NAME, 2, 8)                \
  X(TYPE, NAME, 2, 16)
#define TW_GEMV_FORMAT(TYPE, NAME) TW_EACH_SHAPE(TW_GEMV, TYPE, NAME)

TW_FOR_EACH_FORMAT(TW_GEMV_FORMAT)
TW_EACH_SHAPE(TW_GEMV_DENSE, TW_DTYPE_F32, f32)
TW_EACH_SHAPE(TW_GEMV_DENSE, TW_DTYPE_F16, f16)
TW_EACH_SHAPE(TW_GEMV_DENSE, TW_DTYPE_BF16, bf16)
