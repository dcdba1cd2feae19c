// out[m, n] for up to C rows of f32 activations: a wave has one row of block-quantized weights, a lane takes a part of
// 32 weights (formats/format.h) per step and decodes it in registers, so that nothing is rounded and nothing but the
// blocks is read. Waves that share an output take turns along k and add their sums through LDS once.
#pragma once
#include "../formats/formats.h"
#include "../generated/hip_matmul.h"
#include "batch.h"
#include "epilogue.h"

namespace tw {

template <class F, u32 C, bool Gate>
TW_DEVICE void gemv_exact(TW_HIP_MATMUL_PARAMETERS, float* partial) {
  constexpr u32 streams = Gate ? 2 : 1;
  const u32 z = block_z(), wave = wave_id(), lane = lane_id(), m0 = block_y() * C;
  const u32 split = 1u << p.split_shift, n = block_x() * p.groups + (wave >> p.split_shift);
  // Rows that do not exist are computed as the last one and not stored.
  const u32 row = n < p.n ? n : p.n - 1;
  const u8* weights[streams];
  weights[0] = b + batch_offset(p.batch, p.b_batch, z) + i64(row) * p.b_stride[0];
  if (Gate) weights[streams - 1] = gate + batch_offset(p.batch, p.gate_batch, z) + i64(row) * p.gate_stride[0];
  const u8* columns[C];
  TW_UNROLL for (u32 c = 0; c < C; c++) {
    const u32 m = m0 + c < p.m ? m0 + c : p.m - 1;
    columns[c] = a + 4 * (batch_offset(p.batch, p.a_batch, z) + i64(m) * p.a_stride[0]);
  }

  const u32 first = (wave & (split - 1)) * TW_WAVE + lane, step = TW_WAVE << p.split_shift;
  const u32 part = first % F::parts;
  u32 weights_at = first / F::parts * F::bytes, k_at = 4 * (first / F::parts * F::block + F::run(part));
  float sums[streams][C] = {};
  for (i32 left = i32(p.k / 32); i32(first) < left; left -= i32(step)) {
    u32 codes[streams][8];
    float scale[streams][2], min[streams][2];
    TW_UNROLL for (u32 s = 0; s < streams; s++) {
      F::decode(F::load(weights[s], weights_at, part), part, codes[s], scale[s], min[s]);
    }
    TW_UNROLL for (u32 i = 0; i < 8; i++) {
      // Four weights of each stream, and of every column as many activations.
      const u32 run = i / 4, which = F::one_scale ? 0 : run;
      float w[streams][4];
      TW_UNROLL for (u32 s = 0; s < streams; s++) {
        TW_UNROLL for (u32 j = 0; j < 4; j++) {
          const float code = float(i8(codes[s][i] >> (8 * j)));
          w[s][j] = F::has_min ? scale[s][which] * code - min[s][which] : scale[s][which] * code;
        }
      }
      TW_UNROLL for (u32 c = 0; c < C; c++) {
        const f32x4 x = load_at<f32x4>(columns[c] + 4 * (run * F::step + i % 4 * 4), k_at);
        TW_UNROLL for (u32 s = 0; s < streams; s++) {
          TW_UNROLL for (u32 j = 0; j < 4; j++) sums[s][c] += w[s][j] * x[j];
        }
      }
      // Two groups in flight: with the loads of all eight the registers would run out.
      if (i % 2 == 1) schedule_barrier();
    }
    weights_at += step / F::parts * F::bytes;
    k_at += step * 128;
  }

  float mine[streams] = {};
  TW_UNROLL for (u32 s = 0; s < streams; s++) {
    TW_UNROLL for (u32 c = 0; c < C; c++) {
      const float total = wave_sum(sums[s][c]);
      if (lane == c) mine[s] = total;
    }
  }
  if (split > 1) {
    TW_UNROLL for (u32 s = 0; s < streams; s++) {
      if (lane < C) partial[(wave * streams + s) * C + lane] = mine[s];
    }
    barrier_lds();
    if ((wave & (split - 1)) != 0) return;
    TW_NO_UNROLL for (u32 other = wave + 1; other < wave + split; other++) {
      TW_UNROLL for (u32 s = 0; s < streams; s++) {
        if (lane < C) mine[s] += partial[(other * streams + s) * C + lane];
      }
    }
  }
  const u32 m = m0 + lane;
  if (lane >= C || n >= p.n || m >= p.m) return;
  out += batch_offset(p.batch, p.out_batch, z) * dtype_bytes(p.out_dtype);
  if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, z) * dtype_bytes(p.residual_dtype);
  store_output(p, out, bias, residual, gate_bias, Gate, m, n, mine[0], mine[streams - 1]);
}

}  // namespace tw
