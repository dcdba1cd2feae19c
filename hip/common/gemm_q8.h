// Block-quantized weights times 8-bit activations, by the tiles of gemm_tile.h and 128 along k at a time. Weights are
// unpacked to bytes on the way into LDS, once for the tile's 64 rows of activations; sums of 16 or 32 products are
// integers, scaled and added up as f32.
#pragma once
#include "../formats/formats.h"
#include "gemm_tile.h"
#include "mma.h"
#include "q8.h"

namespace tw {

/// Neighbouring weights that share a scale. Sub-blocks of 32 are two parts' runs side by side.
template <class F>
struct ScaleGroup {
  enum : u32 { size = F::one_scale ? 32 : 16 };
};
template <>
struct ScaleGroup<Q4_K> {
  enum : u32 { size = 32 };
};
template <>
struct ScaleGroup<Q5_K> {
  enum : u32 { size = 32 };
};

template <class F, bool Gate>
struct GemmQ8 {
  typedef GemmTile<64, 128, Gate> Tile;
  enum : u32 {
    threads = Tile::threads,
    tile_m = Tile::tile_m,
    tile_n = Tile::tile_n,
    outputs_n = Tile::outputs_n,
    tile_k = 128,
    // 16 bytes more than the codes: rows follow each other in other banks.
    stride = tile_k + 16,
    group = ScaleGroup<F>::size,
    groups = tile_k / group,
    parts = tile_k / 32,
    parts_per_thread = tile_n * parts / threads,
    chunks_per_thread = tile_m * tile_k / 16 / threads,
    // Places in LDS, in bytes.
    a_codes = 0,
    b_codes = a_codes + tile_m * stride,
    a_step = b_codes + tile_n * stride,
    a_sum = a_step + 4 * parts * tile_m,
    b_scale = a_sum + (F::has_min ? 4 * groups * tile_m : 0),
    b_min = b_scale + 4 * groups * tile_n,
    tiles = b_min + (F::has_min ? 4 * groups * tile_n : 0),
    lds = tiles > Tile::out_bytes ? tiles : Tile::out_bytes,
  };

  /// What a thread loads for one step along k; nothing is done with it before the step's turn.
  struct Loads {
    typename F::Raw raw[parts_per_thread];
    u32x4 codes[chunks_per_thread], records;
  };

  const tw_hip_matmul_params& p;
  const u8 *a, *b, *gate;
  u8* shared;
  u32 m0, n0;

  /// Rows past the end are the last one again: their sums are not stored.
  TW_MEMBER const u8* weights(u32 row) const {
    if (Gate && row >= outputs_n) return gate + i64(minimum_u32(n0 + row - outputs_n, p.n - 1)) * p.gate_stride[0];
    return b + i64(minimum_u32(n0 + row, p.n - 1)) * p.b_stride[0];
  }
  static TW_MEMBER u32 minimum_u32(u32 x, u32 y) { return x < y ? x : y; }

  TW_MEMBER void load(u32 k0, Loads& x) const {
    const u32 t = thread_x();
    TW_UNROLL for (u32 i = 0; i < parts_per_thread; i++) {
      const u32 at = t + i * threads, q = k0 / 32 + at % parts;
      // Formats of large blocks have whole steps only.
      if (F::block < tile_k && q * 32 >= p.k) continue;
      x.raw[i] = F::load(weights(at / parts), q / F::parts * F::bytes, q % F::parts);
    }
    // Activations lie in their own order, and are zeros up to the end of their block of 256.
    const u32 block = k0 / q8_block * q8_bytes, within = k0 % q8_block;
    TW_UNROLL for (u32 i = 0; i < chunks_per_thread; i++) {
      const u32 at = t + i * threads;
      const u8* row = a + q8_row_at(minimum_u32(m0 + at / (tile_k / 16), p.m - 1), p.k, 1);
      x.codes[i] = load_u128<16>(row, block + q8_codes + within + at % (tile_k / 16) * 16);
    }
    if (t < tile_m * 2) {
      const u8* row = a + q8_row_at(minimum_u32(m0 + t % tile_m, p.m - 1), p.k, 1);
      x.records = load_u128<16>(row, block + 4 * (within / q8_run) + t / tile_m * 16);
    }
  }

  TW_MEMBER float* floats(u32 place) const { return (float*)(shared + place); }

  TW_MEMBER void unpack(u32 k0, const Loads& x) const {
    const u32 t = thread_x();
    TW_UNROLL for (u32 i = 0; i < parts_per_thread; i++) {
      const u32 at = t + i * threads, row = at / parts, q = k0 / 32 + at % parts, part = q % F::parts;
      u32 codes[8] = {};
      float scale[2] = {}, min[2] = {};
      if (F::block >= tile_k || q * 32 < p.k) F::decode(x.raw[i], part, codes, scale, min);
      TW_UNROLL for (u32 r = 0; r < 2; r++) {
        // Of the block that the step is in, or of the step that holds several blocks.
        const u32 run = (q / F::parts * F::block + F::run(part) + r * F::step) % tile_k;
        *(u32x4*)(shared + b_codes + row * stride + run) =
            u32x4{codes[4 * r], codes[4 * r + 1], codes[4 * r + 2], codes[4 * r + 3]};
        if (run % group != 0) continue;
        floats(b_scale)[run / group * tile_n + row] = scale[r];
        if (F::has_min) floats(b_min)[run / group * tile_n + row] = min[r];
      }
    }
    TW_UNROLL for (u32 i = 0; i < chunks_per_thread; i++) {
      const u32 at = t + i * threads;
      *(u32x4*)(shared + a_codes + at / (tile_k / 16) * stride + at % (tile_k / 16) * 16) = x.codes[i];
    }
    if (t < tile_m * 2) {
      const u32 row = t % tile_m, pair = t / tile_m;
      TW_UNROLL for (u32 g = 0; g < 2; g++) {
        const u32 first = x.records[2 * g], second = x.records[2 * g + 1];
        const float step = q8_step(first);
        floats(a_step)[(2 * pair + g) * tile_m + row] = step;
        if (!F::has_min) continue;
        if (group == 32) {
          floats(a_sum)[(2 * pair + g) * tile_m + row] = step * float(q8_sum(first) + q8_sum(second));
        } else {
          floats(a_sum)[(4 * pair + 2 * g) * tile_m + row] = step * float(q8_sum(first));
          floats(a_sum)[(4 * pair + 2 * g + 1) * tile_m + row] = step * float(q8_sum(second));
        }
      }
    }
  }

#if defined(TW_MMA_I8)
  enum : u32 { own_m = Tile::own_m, own_n = Tile::own_n };
  typedef float Sums[own_m][own_n][MmaI8::sums];

  TW_MEMBER void scale(Sums& sums, const MmaI8::Sums& c, u32 i, u32 j, u32 g) const {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 s = 0; s < MmaI8::sums; s++) {
      const u32 row = Tile::tile_row(i) + MmaI8::row(lane, s), column = Tile::tile_column(j) + MmaI8::column(lane, s);
      float sum = sums[i][j][s];
      const float step = floats(a_step)[g * group / 32 * tile_m + row];
      sum += float(c[s]) * floats(b_scale)[g * tile_n + column] * step;
      if (F::has_min) sum -= floats(b_min)[g * tile_n + column] * floats(a_sum)[g * tile_m + row];
      sums[i][j][s] = sum;
    }
  }

  TW_MEMBER void multiply(Sums& sums) const {
    const u32 lane = lane_id();
    // Unrolled, all of LDS is asked for at once and fills the registers.
    _Pragma("unroll 1") for (u32 q = 0; q < parts; q++) {
      MmaI8::Operand left[own_m];
      TW_UNROLL for (u32 i = 0; i < own_m; i++) {
        left[i] = MmaI8::load_a(shared + a_codes + Tile::tile_row(i) * stride + 32 * q, stride, lane);
      }
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        const MmaI8::Operand right =
            MmaI8::load_b(shared + b_codes + Tile::tile_column(j) * stride + 32 * q, stride, lane);
        TW_UNROLL for (u32 i = 0; i < own_m; i++) {
          if (group == 32) {
            scale(sums, MmaI8::whole(left[i], right), i, j, q);
          } else {
            scale(sums, MmaI8::half(left[i], right, 0), i, j, 2 * q);
            scale(sums, MmaI8::half(left[i], right, 1), i, j, 2 * q + 1);
          }
        }
        schedule_barrier();
      }
    }
  }

  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    Tile::template stage_tiles<MmaI8>((float*)shared, sums, part);
  }
#else
  // 16 x 16 threads; one has 4 rows of activations by 8 rows of weights, 16 apart.
  enum : u32 { own_m = tile_m / 16, own_n = tile_n / 16 };
  typedef float Sums[own_m][own_n];

  TW_MEMBER void multiply(Sums& sums) const {
    const u32 x = thread_x() % 16, y = thread_x() / 16;
    _Pragma("unroll 1") for (u32 g = 0; g < groups; g++) {
      u32x4 left[own_m][group / 16];
      float step[own_m], sum[own_m] = {};
      TW_UNROLL for (u32 i = 0; i < own_m; i++) {
        const u32 row = y + 16 * i;
        TW_UNROLL for (u32 h = 0; h < group / 16; h++) {
          left[i][h] = *(const u32x4*)(shared + a_codes + row * stride + g * group + 16 * h);
        }
        step[i] = floats(a_step)[g * group / 32 * tile_m + row];
        if (F::has_min) sum[i] = floats(a_sum)[g * tile_m + row];
      }
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        const u32 column = x + 16 * j;
        u32x4 right[group / 16];
        TW_UNROLL for (u32 h = 0; h < group / 16; h++) {
          right[h] = *(const u32x4*)(shared + b_codes + column * stride + g * group + 16 * h);
        }
        const float scale = floats(b_scale)[g * tile_n + column];
        const float min = F::has_min ? floats(b_min)[g * tile_n + column] : 0.0f;
        TW_UNROLL for (u32 i = 0; i < own_m; i++) {
          i32 dot = 0;
          TW_UNROLL for (u32 h = 0; h < group / 16; h++) {
            TW_UNROLL for (u32 w = 0; w < 4; w++) dot = dot4(left[i][h][w], right[h][w], dot);
          }
          sums[i][j] += float(dot) * scale * step[i];
          if (F::has_min) sums[i][j] -= min * sum[i];
        }
        // Rows of weights are asked for two at a time, not all eight.
        if (j % 2 == 1) schedule_barrier();
      }
    }
  }

  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    const u32 x = thread_x() % 16, y = thread_x() / 16;
    TW_UNROLL for (u32 i = 0; i < own_m; i++) {
      if (16 * i / Tile::out_rows != part) continue;
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        ((float*)shared)[(y + 16 * i % Tile::out_rows) * Tile::out_stride + x + 16 * j] = sums[i][j];
      }
    }
  }
#endif
};

/// `shared` has GemmQ8<F, Gate>::lds bytes.
template <class F, bool Gate>
TW_DEVICE void gemm_q8(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
  typedef GemmQ8<F, Gate> Gemm;
  const Share share = Share::of(p, Gemm::tile_k);
  const u32 z = share.z, m0 = block_x() * Gemm::tile_m, n0 = block_y() * Gemm::outputs_n;
  const Gemm tile = {p,
                     a + u64(z) * q8_row_at(p.m, p.k, 1),
                     b + batch_offset(p.batch, p.b_batch, z),
                     Gate ? gate + batch_offset(p.batch, p.gate_batch, z) : nullptr,
                     shared,
                     m0,
                     n0};
  typename Gemm::Sums sums = {};
  typename Gemm::Loads loads;
  const u32 begin = share.begin * Gemm::tile_k, end = share.end * Gemm::tile_k;
  if (begin < end) tile.load(begin, loads);
  for (u32 k0 = begin; k0 < end; k0 += Gemm::tile_k) {
    tile.unpack(k0, loads);
    barrier_lds();
    if (k0 + Gemm::tile_k < end) tile.load(k0 + Gemm::tile_k, loads);
    tile.multiply(sums);
    barrier_lds();
  }
  GemmTile<64, 128, Gate>::template store<Gemm, true>(TW_HIP_MATMUL_PASSED, sums, shared, m0, n0, z);
}

}  // namespace tw
