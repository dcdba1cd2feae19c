// What the GEMMs share: a workgroup of 256 threads has a tile of M rows of activations and N rows of weights; with a
// gate, the second half of the weights is the gate's. The sums go to memory by way of LDS, 32 rows at a time, so that
// neighbours write neighbours, the epilogue stands in the code once, and no more LDS is taken than for the products.
//
// Where tiles are too few to fill the GPU, `splits` workgroups share a tile along k. `out` is then working space: f32
// sums of every batch entry, share and row, those of the gate behind the others of the row. hip/gemm_sum.hip adds the
// shares up, always in the same order, and has the epilogue.
#pragma once
#include "../generated/hip_matmul.h"
#include "batch.h"
#include "epilogue.h"

namespace tw {

/// Which batch entry a workgroup multiplies, and which of the steps along k.
struct Share {
  u32 z, begin, end;
  /// Of the steps of `k_step` that k has, the share of workgroups' third coordinate: shares of an entry are neighbours.
  static TW_MEMBER Share of(const tw_hip_matmul_params& p, u32 k_step) {
    const u32 steps = (p.k + k_step - 1) / k_step;
    if (p.splits == 1) return {block_z(), 0, steps};
    const u32 z = block_z() / p.splits, at = block_z() - z * p.splits;
    return {z, at * steps / p.splits, (at + 1) * steps / p.splits};
  }
};

template <u32 M, u32 N, bool Gate>
struct GemmTile {
  enum : u32 {
    threads = 256,
    tile_m = M,
    tile_n = N,
    outputs_n = Gate ? tile_n / 2 : tile_n,
    out_stride = tile_n + 4,
    out_rows = M < 32 ? M : 32,
    out_bytes = 4 * out_rows * out_stride,
    // For matrix instructions: four waves side by side along n, and one or two rows of them; all in one for 16 rows.
    waves_n = M == 16 ? threads / TW_WAVE : 4,
    waves_m = threads / TW_WAVE / waves_n,
    own_m = tile_m / 16 / waves_m,
    own_n = tile_n / 16 / waves_n,
  };

  /// First row and column, in the workgroup's tile, of tile `i` by `j` of this wave.
  static TW_MEMBER u32 tile_row(u32 i) { return (wave_id() / waves_n * own_m + i) * 16; }
  static TW_MEMBER u32 tile_column(u32 j) { return (wave_id() % waves_n * own_n + j) * 16; }

  /// Sums of matrix instructions of kind `Mma` to LDS, those of `part` of the rows.
  template <class Mma, class Sums>
  static TW_MEMBER void stage_tiles(float* staged, const Sums& sums, u32 part) {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 i = 0; i < own_m; i++) {
      if (tile_row(i) / out_rows != part) continue;
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        TW_UNROLL for (u32 s = 0; s < Mma::sums; s++) {
          const u32 row = tile_row(i) % out_rows + Mma::row(lane, s), column = tile_column(j) + Mma::column(lane, s);
          staged[row * out_stride + column] = sums[i][j][s];
        }
      }
    }
  }

  /// The sums of rows from m0 and columns from n0 of batch entry z, through LDS and the epilogue. `Work::stage` puts a
  /// part of them into LDS, which nobody reads any more. `MayShare`: workgroups may share k.
  template <class Work, bool MayShare>
  static TW_MEMBER void store(TW_HIP_MATMUL_PARAMETERS, const typename Work::Sums& sums, u8* shared, u32 m0, u32 n0,
                              u32 z) {
    (void)a, (void)b, (void)gate;
    const bool shared_k = MayShare && p.splits > 1;
    const u32 column = thread_x() % outputs_n, outputs = p.n - n0, width = Gate ? 2 * p.n : p.n;
    float* share = (float*)out + (u64(block_z()) * p.m + m0) * width + n0 + column;
    if (!shared_k) out += batch_offset(p.batch, p.out_batch, z) * dtype_bytes(p.out_dtype);
    if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, z) * dtype_bytes(p.residual_dtype);
    // Sums and nothing else: the other branches of the epilogue take a tenth of the time of a product with k = 4096.
    const bool plain =
        !Gate && bias == nullptr && residual == nullptr && p.activation == TW_ACT_NONE && p.out_dtype == TW_DTYPE_F32;
    TW_UNROLL for (u32 part = 0; part < tile_m / out_rows; part++) {
      if (part > 0) barrier_lds();
      Work::stage(shared, sums, part);
      barrier_lds();
      const u32 top = part * out_rows;
      for (u32 row = thread_x() / outputs_n; row < out_rows; row += threads / outputs_n) {
        if (m0 + top + row >= p.m || column >= outputs) continue;
        const float* from = (const float*)shared + row * out_stride + column;
        if (shared_k) {
          share[u64(top + row) * width] = from[0];
          if (Gate) share[u64(top + row) * width + p.n] = from[outputs_n];
        } else if (plain) {
          ((float*)out)[i64(m0 + top + row) * p.out_stride[0] + i64(n0 + column) * p.out_stride[1]] = p.alpha * from[0];
        } else {
          store_output(p, out, bias, residual, gate_bias, Gate, m0 + top + row, n0 + column, from[0],
                       Gate ? from[outputs_n] : 0.0f);
        }
      }
    }
  }
};

}  // namespace tw
