// The one GEMV: out[m, n] for up to C rows of 8-bit activations and R rows of block-quantized weights per wave. A lane
// takes a part of 32 weights of each row per step, or a run of 16 (gemv_lanes.h), and the wave as many side by side as
// it has lanes; sums stay in registers until the end of the row, so nothing limits k. Waves that share outputs take
// turns along k and add their sums through LDS once.
//
// What is the same in all lanes (pointers, and their steps along k) stays in scalar registers, what differs is one
// offset per stream that never changes: the loop has next to no vector instructions for addresses.
#pragma once
#include "../generated/hip_matmul.h"
#include "batch.h"
#include "epilogue.h"
#include "gemv_lanes.h"
#if defined(TW_NVIDIA)
#include "gemv_lanes_nvidia.h"
#endif

namespace tw {

/// What a wave multiplies: R rows of weights, and as many of the gate, by C rows of activations.
template <u32 C, u32 R, bool Gate>
struct Streams {
  static constexpr u32 count = Gate ? 2 * R : R;
  const u8* rows[count];
  const u8* columns[C];
};
/// Sums of output (n0 + r, column c) in lane r + R * c: of the weights, and of the gate.
struct Sums {
  float main, gate;
};

/// The loop over k, and the sums across lanes and waves; false in waves that have nothing to store. `Stride` is the
/// bytes from one block of a row of activations to the next.
template <class F, u32 C, u32 R, bool Gate, u32 Stride>
TW_DEVICE bool multiply_rows(const Streams<C, R, Gate>& of, u32 wave, u32 k, u32 split_shift, float* partial,
                             Sums& result) {
  constexpr u32 streams = Streams<C, R, Gate>::count;
  typedef typename LaneOf<F, C>::Lane Lane;
  constexpr u32 early = Lane::early, ahead = Lane::ahead, lanes = q8_block / Lane::weights;
  const u32 split = 1u << split_shift;
  const u32 first = (wave & (split - 1)) * TW_WAVE + lane_id();
  const u32 step = TW_WAVE << split_shift;
  const u32 place = first % Lane::per_block;
  // Offsets count up, and not the pointers: a 32-bit lane offset to a scalar base is an addressing mode of AMD GPUs,
  // but only where the widening to 64 bits cannot be moved out of the loop.
  u32 weights_at = first / Lane::per_block * F::bytes;
  const u32 weights_step = step / Lane::per_block * F::bytes, weights_end = k / F::block * F::bytes;
  u32 codes_at = first / lanes * Stride + Lane::codes_at(first % lanes);
  u32 records_at = first / lanes * Stride + Lane::records_at(first % lanes);
  const u32 activations_step = step / lanes * Stride;
  // Another number to the compiler, which would otherwise make one counter, and two sums in every step, of the two.
  const u32 records_step = uniform(activations_step);

  float sums[streams][C] = {};
  while (weights_at < weights_end) {
    typename Lane::Raw raw[streams];
    typename Lane::Activations column[ahead];
    TW_UNROLL for (u32 s = 0; s < streams; s++) raw[s] = Lane::load(of.rows[s], weights_at, place);
    TW_UNROLL for (u32 c = 0; c < early; c++) column[c].load(of.columns[c], codes_at, records_at);
    schedule_barrier();
    typename Lane::Weights w[streams];
    TW_UNROLL for (u32 s = 0; s < streams; s++) Lane::decode(raw[s], place, w[s]);
    if (early < ahead) {
      schedule_barrier();
      TW_UNROLL for (u32 c = early; c < ahead; c++) column[c].load(of.columns[c], codes_at, records_at);
      schedule_barrier();
    }
    TW_UNROLL for (u32 c = 0; c < C; c++) {
      TW_UNROLL for (u32 s = 0; s < streams; s++) Lane::multiply(w[s], column[c % ahead], sums[s][c]);
      if (c + ahead < C) {
        schedule_barrier();
        column[c % ahead].load(of.columns[c + ahead], codes_at, records_at);
        schedule_barrier();
      }
    }
    weights_at += weights_step;
    codes_at += activations_step;
    records_at += records_step;
  }

  constexpr u32 outputs = R * C;
  const u32 lane = counted_lane();
  float mine[2] = {0.0f, 0.0f};
  TW_UNROLL for (u32 s = 0; s < streams; s++) {
    TW_UNROLL for (u32 c = 0; c < C; c++) {
      const float total = wave_sum(sums[s][c]);
      if (lane == s % R + R * c) mine[s / R] = total;
    }
  }
  if (split > 1) {
    constexpr u32 kinds = Gate ? 2 : 1;
    TW_UNROLL for (u32 i = 0; i < kinds; i++) {
      if (lane < outputs) partial[(wave * kinds + i) * outputs + lane] = mine[i];
    }
    barrier_lds();
    if ((wave & (split - 1)) != 0) return false;
    TW_NO_UNROLL for (u32 other = wave + 1; other < wave + split; other++) {
      TW_UNROLL for (u32 i = 0; i < kinds; i++) {
        if (lane < outputs) mine[i] += partial[(other * kinds + i) * outputs + lane];
      }
    }
  }
  result = {mine[0], mine[1]};
  return lane < outputs;
}

/// First of the R rows of weights that this wave has.
template <u32 R, class P>
TW_DEVICE u32 first_row(const P& p, u32 wave) {
  return (block_x() * p.groups + (wave >> p.split_shift)) * R;
}
/// Rows that do not exist are computed as the last one and not stored.
template <u32 C, u32 R, bool Gate, class P>
TW_DEVICE void point_at_rows(Streams<C, R, Gate>& of, const P& p, u32 n0, const u8* b, const u8* gate) {
  TW_UNROLL for (u32 r = 0; r < R; r++) {
    const u32 n = n0 + r < p.n ? n0 + r : p.n - 1;
    of.rows[r] = b + i64(n) * p.b_stride[0];
    if (Gate) of.rows[R + r] = gate + i64(n) * p.gate_stride[0];
  }
}

template <class F, u32 C, u32 R, bool Gate>
TW_DEVICE void gemv(TW_HIP_MATMUL_PARAMETERS, float* partial) {
  const u32 entry = block_z();
  const u32 wave = wave_id(), n0 = first_row<R>(p, wave);
  Streams<C, R, Gate> of;
  point_at_rows(of, p, n0, b + batch_offset(p.batch, p.b_batch, entry),
                Gate ? gate + batch_offset(p.batch, p.gate_batch, entry) : nullptr);
  // The rows of a pass are interleaved: constant distances from one address.
  const u32 groups_of_rows = (p.m + C - 1) / C;
  const u8* activations = a + u64(entry * groups_of_rows + block_y()) * q8_blocks(p.k) * (C * q8_bytes);
  TW_UNROLL for (u32 c = 0; c < C; c++) of.columns[c] = activations + c * q8_bytes;

  Sums sums;
  if (!multiply_rows<F, C, R, Gate, C * q8_bytes>(of, wave, p.k, p.split_shift, partial, sums)) return;
  const u32 n = n0 + counted_lane() % R, m = block_y() * C + counted_lane() / R;
  if (n >= p.n || m >= p.m) return;
  const i64 out_at = batch_offset(p.batch, p.out_batch, entry) * dtype_bytes(p.out_dtype);
  if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, entry) * dtype_bytes(p.residual_dtype);
  store_output(p, out + out_at, bias, residual, gate_bias, Gate, m, n, sums.main, sums.gate);
}

}  // namespace tw
