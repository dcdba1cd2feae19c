// GEMV over experts: tiles of up to C (token, expert) pairs that chose the same expert, as hip/moe_tiles.hip makes
// them.
#pragma once
#include "../generated/hip_moe_gemv.h"
#include "gemv.h"

namespace tw {

enum : u32 { moe_columns = 4 };

/// Pairs of a tile, the first `count` of `pairs`; the others repeat the last.
struct MoeTile {
  u32 expert, count, pairs[moe_columns];
};

/// Pair i reads row i / share of the activations and writes row i of the results.
template <class F, u32 R, bool Gate>
TW_DEVICE void moe_gemv(TW_HIP_MOE_GEMV_PARAMETERS, float* partial) {
  constexpr u32 C = moe_columns;
  const MoeTile* tile = (const MoeTile*)tiles + block_y();
  const u32 count = tile->count;
  if (count == 0) return;
  const u32 expert = tile->expert;
  const u32 wave = wave_id(), n0 = first_row<R>(p, wave);
  Streams<C, R, Gate> of;
  point_at_rows(of, p, n0, b + i64(expert) * p.b_expert, Gate ? gate + i64(expert) * p.gate_expert : nullptr);
  TW_UNROLL for (u32 c = 0; c < C; c++) of.columns[c] = a + q8_row_at(tile->pairs[c] / p.share, p.k, 1);

  Sums sums;
  if (!multiply_rows<F, C, R, Gate, q8_bytes>(of, wave, p.k, p.split_shift, partial, sums)) return;
  const u32 n = n0 + counted_lane() % R, c = counted_lane() / R;
  if (n >= p.n || c >= count) return;
  const i64 bias_at = i64(expert) * p.bias_expert * dtype_bytes(p.bias_dtype);
  if (bias != nullptr) bias += bias_at;
  if (gate_bias != nullptr) gate_bias += bias_at;
  store_output(p, out, bias, residual, gate_bias, Gate, tile->pairs[c], n, sums.main, sums.gate);
}

}  // namespace tw
