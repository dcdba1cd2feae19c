// What the GEMMs share: a workgroup of 256 threads has a tile of 64 rows of activations and 128 rows of weights; with a
// gate, the second half of the weights is the gate's. The sums go to memory by way of LDS, so that neighbours write
// neighbours, and the epilogue stands in the code once.
#pragma once
#include "../generated/hip_matmul.h"
#include "batch.h"
#include "epilogue.h"

namespace tw {

template <bool Gate>
struct GemmTile {
  enum : u32 {
    threads = 256,
    tile_m = 64,
    tile_n = 128,
    outputs_n = Gate ? tile_n / 2 : tile_n,
    out_stride = tile_n + 4,
    out_bytes = 4 * tile_m * out_stride,
    // For matrix instructions: four waves side by side along n, and one or two rows of them.
    waves_n = 4,
    waves_m = threads / TW_WAVE / waves_n,
    own_m = tile_m / 16 / waves_m,
    own_n = tile_n / 16 / waves_n,
  };

  /// First row, in the workgroup's tile, of tile `i` of this wave; with a gate, the second along n is the gate's.
  static TW_MEMBER u32 tile_row(u32 i) { return (wave_id() / waves_n * own_m + i) * 16; }
  static TW_MEMBER u32 tile_column(u32 j) {
    return Gate ? wave_id() % waves_n * 16 + j * outputs_n : (wave_id() % waves_n * own_n + j) * 16;
  }

  /// Sums of matrix instructions of kind `Mma` to LDS.
  template <class Mma, class Sums>
  static TW_MEMBER void stage_tiles(float* staged, const Sums& sums) {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 i = 0; i < own_m; i++) {
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        TW_UNROLL for (u32 s = 0; s < Mma::sums; s++) {
          const u32 row = tile_row(i) + Mma::row(lane, s), column = tile_column(j) + Mma::column(lane, s);
          staged[row * out_stride + column] = sums[i][j][s];
        }
      }
    }
  }

  /// The staged sums of rows from m0 and columns from n0 of batch entry z, through the epilogue.
  static TW_MEMBER void store(const tw_hip_matmul_params& p, u8* out, const u8* bias, const u8* residual,
                              const u8* gate_bias, const float* staged, u32 m0, u32 n0, u32 z) {
    out += batch_offset(p.batch, p.out_batch, z) * dtype_bytes(p.out_dtype);
    if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, z) * dtype_bytes(p.residual_dtype);
    for (u32 i = thread_x(); i < tile_m * outputs_n; i += threads) {
      const u32 row = i / outputs_n, column = i % outputs_n;
      if (m0 + row >= p.m || n0 + column >= p.n) continue;
      const float* from = staged + row * out_stride + column;
      store_output(p, out, bias, residual, gate_bias, Gate, m0 + row, n0 + column, from[0],
                   Gate ? from[outputs_n] : 0.0f);
    }
  }
};

}  // namespace tw
