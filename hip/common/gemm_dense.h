// Plain matrices of any dtypes and strides, by the tiles of gemm_tile.h and 32 along k at a time. Kind tells what the
// products are of: f32, or 16-bit floats by matrix instructions, to which both sides are rounded on the way into LDS.
// Where the target has none they are multiplied as f32, unrounded.
#pragma once
#include "dense.h"
#include "gemm_tile.h"
#include "mma16.h"

namespace tw {

template <u32 Kind>
struct HasMma {
  enum : bool {
#if defined(TW_MMA_F16) && defined(TW_MMA_BF16)
    value = Kind != TW_DTYPE_F32
#elif defined(TW_MMA_F16)
    value = Kind == TW_DTYPE_F16
#else
    value = false
#endif
  };
};

template <u32 Kind, bool Gate, bool Mma>
struct DenseTile;

/// Products of f32: tiles lie in LDS with k outermost, a thread has 4 rows by 8 columns.
template <u32 Kind, bool Gate>
struct DenseTile<Kind, Gate, false> {
  typedef GemmTile<64, 128, Gate> Tile;
  enum : u32 {
    tile_k = 32,
    a_stride = Tile::tile_m + 4,
    b_stride = Tile::tile_n + 4,
    b_at = tile_k * a_stride,
    lds = 4 * (tile_k * (a_stride + b_stride)) > u32(Tile::out_bytes) ? 4 * (tile_k * (a_stride + b_stride))
                                                                      : u32(Tile::out_bytes),
  };
  typedef float Run[8];
  typedef float Sums[4][8];

  static TW_MEMBER void load(const DenseRows& rows, u32 row, u32 k, Run& run) { rows.load(row, k, run); }
  static TW_MEMBER void put_a(u8* shared, u32 row, u32 k, const Run& run) {
    TW_UNROLL for (u32 i = 0; i < 8; i++)((float*)shared)[(k + i) * a_stride + row] = run[i];
  }
  static TW_MEMBER void put_b(u8* shared, u32 row, u32 k, const Run& run) {
    TW_UNROLL for (u32 i = 0; i < 8; i++)((float*)shared)[b_at + (k + i) * b_stride + row] = run[i];
  }
  static TW_MEMBER void multiply(const u8* shared, Sums& sums) {
    const float* a = (const float*)shared + thread_x() / 16 * 4;
    const float* b = (const float*)shared + b_at + thread_x() % 16 * 4;
    _Pragma("unroll 2") for (u32 k = 0; k < tile_k; k++) {
      const f32x4 left = *(const f32x4*)(a + k * a_stride);
      const f32x4 right[2] = {*(const f32x4*)(b + k * b_stride), *(const f32x4*)(b + k * b_stride + Tile::tile_n / 2)};
      TW_UNROLL for (u32 i = 0; i < 4; i++) {
        TW_UNROLL for (u32 j = 0; j < 8; j++) {
          sums[i][j] = __builtin_fmaf(left[i], right[j / 4][j % 4], sums[i][j]);
        }
      }
    }
  }
  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    const u32 y = thread_x() / 16 * 4, x = thread_x() % 16 * 4;
    if (y / Tile::out_rows != part) return;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      TW_UNROLL for (u32 j = 0; j < 2; j++) {
        *(f32x4*)((float*)shared + (y % Tile::out_rows + i) * Tile::out_stride + x + j * (Tile::tile_n / 2)) =
            f32x4{sums[i][4 * j], sums[i][4 * j + 1], sums[i][4 * j + 2], sums[i][4 * j + 3]};
      }
    }
  }
};

#if defined(TW_MMA_F16)
template <u32 Kind, bool Gate>
struct DenseTile<Kind, Gate, true> {
  typedef GemmTile<64, 128, Gate> Tile;
  enum : u32 {
    tile_k = 32,
    stride = 2 * tile_k + 16,  // bytes; rows follow each other in other banks
    b_at = Tile::tile_m * stride,
    tiles = b_at + Tile::tile_n * stride,
    lds = tiles > u32(Tile::out_bytes) ? tiles : u32(Tile::out_bytes),
  };
  typedef u32x4 Run;
  typedef Mma16::Sums Sums[Tile::own_m][Tile::own_n];

  static TW_MEMBER void load(const DenseRows& rows, u32 row, u32 k, Run& run) {
    // What is of the right type already stays as it is: on an H200 twice as fast as there and back again.
    if (rows.vectors && rows.dtype == Kind && k + 8 <= rows.k) {
      run = *(const u32x4*)(rows.base + 2 * (row * rows.row_stride + k));
      return;
    }
    float x[8];
    rows.load(row, k, x);
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const float low = x[2 * i], high = x[2 * i + 1];
      run[i] = Kind == TW_DTYPE_F16 ? to_f16(low) | u32(to_f16(high)) << 16 : to_bf16(low) | u32(to_bf16(high)) << 16;
    }
  }
  static TW_MEMBER void put_a(u8* shared, u32 row, u32 k, const Run& run) {
    *(u32x4*)(shared + row * stride + 2 * k) = run;
  }
  static TW_MEMBER void put_b(u8* shared, u32 row, u32 k, const Run& run) {
    *(u32x4*)(shared + b_at + row * stride + 2 * k) = run;
  }
  static TW_MEMBER Mma16::Sums product(const Mma16::Operand& a, const Mma16::Operand& b, Mma16::Sums c) {
#if defined(TW_MMA_BF16)
    if (Kind == TW_DTYPE_BF16) return Mma16::bf16(a, b, c);
#endif
    return Mma16::f16(a, b, c);
  }
  static TW_MEMBER void multiply(const u8* shared, Sums& sums) {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 k = 0; k < tile_k; k += 16) {
      Mma16::Operand left[Tile::own_m];
      TW_UNROLL for (u32 i = 0; i < Tile::own_m; i++) {
        left[i] = Mma16::load_a(RowsApart{shared + Tile::tile_row(i) * stride + 2 * k, stride}, lane);
      }
      TW_UNROLL for (u32 j = 0; j < Tile::own_n; j++) {
        const Mma16::Operand right =
            Mma16::load_b(RowsApart{shared + b_at + Tile::tile_column(j) * stride + 2 * k, stride}, lane);
        TW_UNROLL for (u32 i = 0; i < Tile::own_m; i++) sums[i][j] = product(left[i], right, sums[i][j]);
      }
    }
  }
  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    Tile::template stage_tiles<Mma16>((float*)shared, sums, part);
  }
};
#endif

template <u32 Kind, bool Gate>
struct GemmDense {
  typedef DenseTile<Kind, Gate, HasMma<Kind>::value> Tile;
};

/// `shared` has Tile::lds bytes.
template <u32 Kind, bool Gate>
TW_DEVICE void gemm_dense(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
  typedef typename GemmDense<Kind, Gate>::Tile Work;
  typedef GemmTile<64, 128, Gate> Tile;
  enum : u32 { runs = Work::tile_k / 8, per_thread = Tile::tile_n * runs / Tile::threads };
  const u32 z = block_z(), m0 = block_x() * Tile::tile_m, n0 = block_y() * Tile::outputs_n, t = thread_x();
  const DenseRows left =
      DenseRows::of(a + batch_offset(p.batch, p.a_batch, z) * dtype_bytes(p.a_dtype), p.a_stride, p.a_dtype, p.k);
  const DenseRows right =
      DenseRows::of(b + batch_offset(p.batch, p.b_batch, z) * dtype_bytes(p.b_dtype), p.b_stride, p.b_dtype, p.k);
  const DenseRows side = Gate ? DenseRows::of(gate + batch_offset(p.batch, p.gate_batch, z) * dtype_bytes(p.b_dtype),
                                              p.gate_stride, p.b_dtype, p.k)
                              : right;
  // This thread's runs of eight: rows and places along k. Rows past the end are the last one again.
  const bool a_along = left.along_k(), b_along = right.along_k();
  const u32 a_row = a_along ? t / runs : t % Tile::tile_m, a_k = (a_along ? t % runs : t / Tile::tile_m) * 8;
  u32 b_row[per_thread], b_k[per_thread];
  TW_UNROLL for (u32 i = 0; i < per_thread; i++) {
    const u32 at = t + i * Tile::threads;
    b_row[i] = b_along ? at / runs : at % Tile::tile_n;
    b_k[i] = (b_along ? at % runs : at / Tile::tile_n) * 8;
  }
  const auto last = [](u32 row, u32 rows) __attribute__((always_inline)) {
    return row < rows ? row : rows - 1;
  };
  typename Work::Run a_run, b_run[per_thread];
  const auto load = [&](u32 k0) __attribute__((always_inline)) {
    Work::load(left, last(m0 + a_row, p.m), k0 + a_k, a_run);
    TW_UNROLL for (u32 i = 0; i < per_thread; i++) {
      const bool gated = Gate && b_row[i] >= Tile::outputs_n;
      const u32 row = last(n0 + (gated ? b_row[i] - Tile::outputs_n : b_row[i]), p.n);
      if (gated) {
        Work::load(side, row, k0 + b_k[i], b_run[i]);
      } else {
        Work::load(right, row, k0 + b_k[i], b_run[i]);
      }
    }
  };
  typename Work::Sums sums = {};
  load(0);
  for (u32 k0 = 0; k0 < p.k; k0 += Work::tile_k) {
    Work::put_a(shared, a_row, a_k, a_run);
    TW_UNROLL for (u32 i = 0; i < per_thread; i++) Work::put_b(shared, b_row[i], b_k[i], b_run[i]);
    barrier_lds();
    if (k0 + Work::tile_k < p.k) load(k0 + Work::tile_k);
    Work::multiply(shared, sums);
    barrier_lds();
  }
  Tile::template store<Work, false>(TW_HIP_MATMUL_PASSED, sums, shared, m0, n0, z);
}

}  // namespace tw
