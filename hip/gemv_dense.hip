// Plain weights times a few rows of activations, for weights that are dense along k (rows) and along n (columns). Any
// dtypes and strides; the weights are read once for up to C rows.
#include "common/dense.h"
#include "common/gemm_tile.h"

namespace tw {

struct GemvDense {
  DenseRows a, b, gate;
  u32 z;

  static TW_MEMBER GemvDense of(const tw_hip_matmul_params& p, const u8* a, const u8* b, const u8* gate) {
    const u32 z = block_z();
    const u8* rows = b + batch_offset(p.batch, p.b_batch, z) * dtype_bytes(p.b_dtype);
    const u8* side = gate == nullptr ? rows : gate + batch_offset(p.batch, p.gate_batch, z) * dtype_bytes(p.b_dtype);
    return {DenseRows::of(a + batch_offset(p.batch, p.a_batch, z) * dtype_bytes(p.a_dtype), p.a_stride, p.a_dtype, p.k),
            DenseRows::of(rows, p.b_stride, p.b_dtype, p.k),
            DenseRows::of(side, gate == nullptr ? p.b_stride : p.gate_stride, p.b_dtype, p.k), z};
  }
  TW_MEMBER u8* out(const tw_hip_matmul_params& p, u8* out) const {
    return out + batch_offset(p.batch, p.out_batch, z) * dtype_bytes(p.out_dtype);
  }
  TW_MEMBER const u8* residual(const tw_hip_matmul_params& p, const u8* residual) const {
    if (residual == nullptr) return nullptr;
    return residual + batch_offset(p.batch, p.residual_batch, z) * dtype_bytes(p.residual_dtype);
  }
};

/// A wave has one row of weights; its lanes follow k, eight elements each.
template <u32 C, bool Gate>
TW_DEVICE void gemv_rows(TW_HIP_MATMUL_PARAMETERS) {
  const GemvDense v = GemvDense::of(p, a, b, Gate ? gate : nullptr);
  const u32 n = block_x() * (256 / TW_WAVE) + wave_id(), m0 = block_y() * C;
  if (n >= p.n) return;
  float sums[C] = {}, side[C] = {};
  // Unrolled, or moved together, the loads of every dtype and stride stand beside each other and fill the registers.
  _Pragma("unroll 1") for (u32 k = lane_id() * 8; k < p.k; k += 8 * TW_WAVE) {
    float w[8], g[8];
    v.b.load(n, k, w);
    if (Gate) v.gate.load(n, k, g);
    TW_UNROLL for (u32 c = 0; c < C; c++) {
      float x[8];
      v.a.load(m0 + c < p.m ? m0 + c : p.m - 1, k, x);
      TW_UNROLL for (u32 i = 0; i < 8; i++) {
        sums[c] += w[i] * x[i];
        if (Gate) side[c] += g[i] * x[i];
      }
      schedule_barrier();
    }
  }
  TW_UNROLL for (u32 c = 0; c < C; c++) {
    const float sum = wave_sum(sums[c]), gated = Gate ? wave_sum(side[c]) : 0.0f;
    if (m0 + c >= p.m || lane_id() != 0) continue;
    store_output(p, v.out(p, out), bias, v.residual(p, residual), gate_bias, Gate, m0 + c, n, sum, gated);
  }
}

/// A lane has four neighbouring columns of weights, the waves of a workgroup take turns along k.
template <u32 C, bool Gate>
TW_DEVICE void gemv_columns(TW_HIP_MATMUL_PARAMETERS, float* partial) {
  enum : u32 { waves = 256 / TW_WAVE, columns = 4 * TW_WAVE, streams = Gate ? 2 : 1 };
  const GemvDense v = GemvDense::of(p, a, b, Gate ? gate : nullptr);
  const u32 n0 = block_x() * columns, n = n0 + lane_id() * 4, m0 = block_y() * C;
  float sums[streams][C][4] = {};
  const u32 unit = 4 * dtype_bytes(p.b_dtype);
  const auto whole = [&](const DenseRows& rows) __attribute__((always_inline)) {
    return rows.row_stride == 1 && (u64)rows.base % unit == 0 && rows.k_stride % 4 == 0 && n + 4 <= p.n;
  };
  const auto four = [&](const DenseRows& rows, bool vector, u32 k, float w[4]) __attribute__((always_inline)) {
    if (vector) return load_four(rows.base, rows.dtype, i64(k) * rows.k_stride + n, w);
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      w[i] =
          n + i < p.n ? load_float(rows.base, rows.dtype, i64(n + i) * rows.row_stride + i64(k) * rows.k_stride) : 0.0f;
    }
  };
  const bool vector = whole(v.b), gate_vector = Gate && whole(v.gate);
  _Pragma("unroll 4") for (u32 k = wave_id(); k < p.k; k += waves) {
    float w[streams][4];
    four(v.b, vector, k, w[0]);
    if (Gate) four(v.gate, gate_vector, k, w[streams - 1]);
    TW_UNROLL for (u32 c = 0; c < C; c++) {
      const u32 m = m0 + c < p.m ? m0 + c : p.m - 1;
      const float x = load_float(v.a.base, p.a_dtype, i64(m) * v.a.row_stride + i64(k) * v.a.k_stride);
      TW_UNROLL for (u32 s = 0; s < streams; s++) {
        TW_UNROLL for (u32 i = 0; i < 4; i++) sums[s][c][i] += w[s][i] * x;
      }
    }
  }
  // One row of activations at a time goes through LDS: [stream][wave][column].
  for (u32 c = 0; c < C; c++) {
    TW_UNROLL for (u32 own = 0; own < C; own++) {
      if (own != c) continue;
      TW_UNROLL for (u32 s = 0; s < streams; s++) {
        *(f32x4*)(partial + (s * waves + wave_id()) * columns + lane_id() * 4) =
            f32x4{sums[s][own][0], sums[s][own][1], sums[s][own][2], sums[s][own][3]};
      }
    }
    barrier_lds();
    if (m0 + c < p.m) {
      for (u32 i = thread_x(); i < columns && n0 + i < p.n; i += 256) {
        float total[2] = {0.0f, 0.0f};
        TW_UNROLL for (u32 s = 0; s < streams; s++) {
          for (u32 wave = 0; wave < waves; wave++) total[s] += partial[(s * waves + wave) * columns + i];
        }
        store_output(p, v.out(p, out), bias, v.residual(p, residual), gate_bias, Gate, m0 + c, n0 + i, total[0],
                     total[1]);
      }
    }
    barrier_lds();
  }
}

}  // namespace tw

#define TW_GEMV_DENSE(C, suffix, gated)                                     \
  TW_KERNEL(256) gemv_dense_rows_c##C##suffix(TW_HIP_MATMUL_ARGUMENTS) {    \
    tw::gemv_rows<C, gated>(TW_HIP_MATMUL_PASSED);                          \
  }                                                                         \
  TW_KERNEL(256) gemv_dense_columns_c##C##suffix(TW_HIP_MATMUL_ARGUMENTS) { \
    TW_SHARED tw::f32x4 partial[(gated ? 2 : 1) * 256];                     \
    tw::gemv_columns<C, gated>(TW_HIP_MATMUL_PASSED, (float*)partial);      \
  }
TW_GEMV_DENSE(1, , false)
TW_GEMV_DENSE(1, _gate, true)
TW_GEMV_DENSE(4, , false)
TW_GEMV_DENSE(4, _gate, true)
TW_GEMV_DENSE(8, , false)
TW_GEMV_DENSE(8, _gate, true)
