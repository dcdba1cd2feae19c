// The GEMV for 8 rows of activations by matrix instructions. A wave has a tile of 16 rows of weights (with a gate, half
// of them are the gate's), and 256 weights of each row per step; four lanes share a row, and what they do of it is in
// formats/tile_rows.h. Activations are those of gemv.h, 8 rows interleaved.
//
// The next step's weights and activations are copied to LDS while this one's are multiplied. LDS is no place to share
// them here: each wave has its own, and needs no barrier. It hides the latency of memory without registers, and lanes
// read it word by word, in whatever order a matrix instruction wants them.
#pragma once
#include "../formats/tile_rows.h"
#include "gemv.h"
#include "tile_mma.h"

#if defined(TW_TILE_MMA)
namespace tw {

enum : u32 { tile_columns = 8, tile_stages = 2 };

/// LDS: per wave and stage the activations of a step, 8 rows of 256, and 16 rows of weights.
/// ts/kernels/hip/gemv.ts counts the same.
template <class F>
struct TileStage {
  enum : u32 {
    step_bytes = q8_block / F::block * F::bytes,
    // Copies begin at multiples of 16, where rows may not.
    chunks = (step_bytes + 31 - F::align) / 16,
    // An odd number of chunks apart, the same words of 8 rows are in different banks.
    row_bytes = 16 * (chunks | 1),
    activations = tile_columns * q8_bytes,
    bytes = activations + TileMma::tile_rows * row_bytes,
    wave_bytes = tile_stages * bytes,
  };
};

/// The i16 in the low half of a word: conversions have an eighth of the rate of what this takes.
TW_DEVICE float low_half(u32 word) {
  return bits_as<float>((word & 0xffffu) ^ 0x4b008000u) - 8421376.0f;
}

/// A unit (formats/tile_rows.h) of this lane's rows of a tile: codes times activations x and y of all columns, times
/// what `records` has of them and, unless it is the whole row's, times the scale.
template <class F>
TW_DEVICE void multiply_unit(const TilePair (&pairs)[TileMma::own], u32 u, u32 x, u32 y,
                             const u32 (&records)[TileMma::columns][2], float (&sums)[TileMma::own][TileMma::columns]) {
  typedef TileMma Mma;
  typedef TileRow<F> Row;
  constexpr bool mins = F::has_min && !Row::whole;
  u32 codes[Mma::own][2];
  TW_UNROLL for (u32 i = 0; i < 2 * Mma::own; i++) codes[i / 2][i % 2] = pairs[i / 2].codes[u][i % 2];
  TW_UNROLL for (u32 h = 0; h < (Row::halves ? 2 : 1); h++) {
    i32 dots[Mma::own][Mma::columns];
    if (Row::tables) {
      const u32 first = tile_turns(x, y, 0), second = tile_turns(x, y, 1);
      u32 more[Mma::own][2];
      TW_UNROLL for (u32 i = 0; i < 2 * Mma::own; i++) more[i / 2][i % 2] = pairs[i / 2].more[u][i % 2];
      Mma::multiply(codes, first, second, dots);
      Mma::multiply_more(more, first, second, dots);
    } else if (Row::halves) {
      Mma::multiply_half(codes, h, h == 0 ? x : y, dots);
    } else {
      Mma::multiply(codes, x, y, dots);
    }
    TW_UNROLL for (u32 j = 0; j < Mma::columns; j++) {
      const float step = q8_step(records[j][h]);
      const float codes_sum = mins ? low_half(records[j][h] + (Row::halves ? 0 : records[j][1])) : 0.0f;
      TW_UNROLL for (u32 s = 0; s < Mma::own; s++) {
        const float scale = Row::whole ? 1.0f : pairs[s].scale[u][h], dot = bits_as<float>(dots[s][j]);
        float value = Row::whole ? dot - Mma::offset : __builtin_fmaf(scale, dot, -Mma::offset * scale);
        if (mins) value -= pairs[s].min[u][h] * codes_sum;
        sums[s][j] += step * value;
      }
    }
  }
}

/// Products of mins with what they are multiplied by, the stored sums times their steps: four of them in each slot.
/// These have up to 20 bits, and are three bfloat16 without an error.
struct TileMins {
  u32 parts[3][2];
  TW_MEMBER void load(const u8* staged, u32 lane) {
    const u32x4 records = *(const u32x4*)(staged + tile_place(TileMma::operand_column(lane), TileMma::slot(lane)));
    float sums[4];
    TW_UNROLL for (u32 i = 0; i < 4; i++) sums[i] = q8_step(records[i]) * low_half(records[i]);
    TW_UNROLL for (u32 part = 0; part < 3; part++) {
      u32 top[4];
      TW_UNROLL for (u32 i = 0; i < 4; i++) {
        top[i] = bits_as<u32>(sums[i]) & 0xffff0000u;
        sums[i] -= bits_as<float>(top[i]);
      }
      TW_UNROLL for (u32 i = 0; i < 2; i++) parts[part][i] = top[2 * i] >> 16 | top[2 * i + 1];
    }
  }
};

template <class F, bool Gate>
TW_DEVICE void gemv_tile(TW_HIP_MATMUL_PARAMETERS, u8* memory) {
  typedef TileMma Mma;
  typedef TileRow<F> Row;
  typedef typename Row::Bytes Bytes;
  typedef TileStage<F> Stage;
  constexpr u32 C = tile_columns, J = Mma::columns, own_rows = Mma::own, rows_n = Mma::tile_rows;
  constexpr u32 outputs_n = Gate ? rows_n / 2 : rows_n;
  constexpr u32 copied_rows = TW_WAVE / Mma::copiers, copies = rows_n / copied_rows;
  const u32 entry = block_z(), lane = lane_id(), wave = wave_id(), split = 1u << p.split_shift;
  const u32 n0 = (block_x() * p.groups + (wave >> p.split_shift)) * outputs_n;
  const u32 row = Mma::row(lane), slot = Mma::slot(lane);

  // Of each row: its first byte's place in 16 bytes, and what begins there. A lane copies of other rows than it
  // multiplies.
  const auto row_at = [&](u32 r) {
    const u32 n = n0 + r % outputs_n;
    const i64 at = n < p.n ? n : p.n - 1;
    return r >= outputs_n ? gate + batch_offset(p.batch, p.gate_batch, entry) + at * p.gate_stride[0]
                          : b + batch_offset(p.batch, p.b_batch, entry) + at * p.b_stride[0];
  };
  const u32 copied_row = Mma::copied_row(lane), copied_slot = Mma::copied_slot(lane);
  const u8* rows[copies];
  u32 odd[own_rows], copied_odd[copies];
  TW_UNROLL for (u32 s = 0; s < own_rows; s++) {
    odd[s] = F::align == 16 ? 0 : u32((u64)row_at(s * Mma::rows + row)) % 16;
  }
  TW_UNROLL for (u32 s = 0; s < copies; s++) {
    rows[s] = row_at(s * copied_rows + copied_row);
    copied_odd[s] = F::align == 16 ? 0 : u32((u64)rows[s]) % 16;
    rows[s] = rows[s] - copied_odd[s] + 16 * copied_slot;
  }
  const u32 blocks = q8_blocks(p.k), row_bytes = p.k / F::block * F::bytes;
  const u32 column = lane / 4 % C;
  const u8* activations =
      a + u64(entry * ((p.m + C - 1) / C) + block_y()) * blocks * (C * q8_bytes) + (column * q8_bytes + lane % 4 * 16);
  u8* own = memory + wave * Stage::wave_bytes;
  u8* copied = own + tile_place(column, lane % 4);
  u8* copied_weights = own + Stage::activations + copied_row * Stage::row_bytes + 16 * copied_slot;

  const auto fetch = [&](u32 block, u32 stage) {
    if (block < blocks) {
      const u32 to = stage * Stage::bytes;
      const u8* from = activations + block * Stage::activations;
      TW_UNROLL for (u32 i = 0; i < q8_bytes / 64; i++) {
        if (TW_WAVE == 32 || lane / 32 == i % 2) Mma::copy(copied + to + 64 * i, from + 64 * i);
      }
      TW_UNROLL for (u32 s = 0; s < copies; s++) {
        const u32 begin = copied_odd[s] + block * Stage::step_bytes, at = begin & ~15u;
        const u32 wanted = F::align == 16 ? u32(Stage::step_bytes) : begin % 16 + Stage::step_bytes;
        const i32 left = i32(copied_odd[s] + row_bytes) - i32(at + 16 * copied_slot);
        TW_UNROLL for (u32 i = 0; i < 16 * Stage::chunks; i += 16 * Mma::copiers) {
          if (i + 16 * Mma::copiers > Stage::step_bytes && i + 16 * copied_slot >= wanted) continue;
          u8* chunk = copied_weights + to + s * copied_rows * Stage::row_bytes + i;
          const i32 exist = left - i32(i);
          Mma::template stream<F::block != q8_block>(chunk, rows[s] + at + i,
                                                     at + i + 16 * copied_slot == 0 ? copied_odd[s] : 0,
                                                     exist > 16  ? 16
                                                     : exist < 0 ? 0
                                                                 : exist);
        }
      }
    }
    Mma::commit();
  };

  const u32 first = wave & (split - 1);
  TW_UNROLL for (u32 i = 0; i + 1 < tile_stages; i++) fetch(first + i * split, i);
  float sums[own_rows][J] = {};
  u32 stage = 0, next = tile_stages - 1;
  for (u32 block = first; block < blocks; block += split) {
    Mma::wave_barrier();
    fetch(block + (tile_stages - 1) * split, next);
    Mma::template wait<tile_stages - 1>();
    Mma::wave_barrier();
    const u8* staged = own + stage * Stage::bytes;
    stage = stage + 1 == tile_stages ? 0 : stage + 1;
    next = next + 1 == tile_stages ? 0 : next + 1;

    Bytes bytes[own_rows];
    Row tile_rows[own_rows];
    TW_UNROLL for (u32 s = 0; s < own_rows; s++) {
      const u32 at = F::align == 16 ? 0 : (odd[s] + block * Stage::step_bytes) % 16;
      bytes[s] = Bytes(staged + Stage::activations + (s * Mma::rows + row) * Stage::row_bytes, at, slot);
      tile_rows[s].load(bytes[s]);
    }
    // Of formats with a scale of the whole row, until it is applied.
    float unscaled[own_rows][J] = {};
    TW_UNROLL for (u32 r = 0; r < 4; r++) {
      const u32x4 x = Mma::activations(staged, lane, r);
      u32x4 records[J];
      TW_UNROLL for (u32 j = 0; j < J; j++) {
        records[j] = *(const u32x4*)(staged + tile_place(Mma::column(lane, j) % C, r));
      }
      TilePair pairs[own_rows];
      TW_UNROLL for (u32 s = 0; s < own_rows; s++) tile_rows[s].pair(bytes[s], r, pairs[s]);
      TW_UNROLL for (u32 u = 0; u < 2; u++) {
        const bool shared = Row::shared;
        u32 own_records[J][2];
        TW_UNROLL for (u32 j = 0; j < J; j++) {
          own_records[j][0] = records[j][shared ? u : 2 * u];
          own_records[j][1] = records[j][shared ? 2 + u : 2 * u + 1];
        }
        multiply_unit<F>(pairs, u, x[shared ? 2 * u : u], x[shared ? 2 * u + 1 : 2 + u], own_records,
                         Row::whole ? unscaled : sums);
      }
    }
    if constexpr (Row::matrix_mins) {
      TileMins factors;
      factors.load(staged, lane);
      u32 mins[own_rows][2];
      TW_UNROLL for (u32 s = 0; s < own_rows; s++) tile_rows[s].mins(bytes[s], mins[s]);
      float products[own_rows][J] = {};
      TW_UNROLL for (u32 part = 0; part < 3; part++) Mma::multiply_mins(mins, factors.parts[part], products);
      TW_UNROLL for (u32 i = 0; i < own_rows * J; i++) {
        sums[i / J][i % J] -= tile_rows[i / J].dmin * products[i / J][i % J];
      }
    }
    if constexpr (Row::whole) {
      TW_UNROLL for (u32 i = 0; i < own_rows * J; i++) sums[i / J][i % J] +=
          tile_rows[i / J].d * unscaled[i / J][i % J];
    }
  }

  barrier_lds();
  float* partial = (float*)memory;
  TW_UNROLL for (u32 i = 0; i < own_rows * J; i++) {
    const u32 r = i / J * Mma::rows + row, c = Mma::column(lane, i % J);
    if (c < C) partial[(wave * rows_n + r) * C + c] = tile_factor<F> * sums[i / J][i % J];
  }
  barrier_lds();
  const i64 out_at = batch_offset(p.batch, p.out_batch, entry) * dtype_bytes(p.out_dtype);
  if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, entry) * dtype_bytes(p.residual_dtype);
  const u32 first_wave = wave >> p.split_shift << p.split_shift;
  for (u32 i = (wave - first_wave) * TW_WAVE + lane; i < outputs_n * C; i += TW_WAVE << p.split_shift) {
    const u32 r = i % outputs_n, c = i / outputs_n, n = n0 + r, m = block_y() * C + c;
    float total[2] = {0.0f, 0.0f};
    TW_UNROLL for (u32 g = 0; g < (Gate ? 2 : 1); g++) {
      for (u32 w = first_wave; w < first_wave + split; w++) {
        total[g] += partial[(w * rows_n + g * outputs_n + r) * C + c];
      }
    }
    if (n < p.n && m < p.m) {
      store_output(p, out + out_at, bias, residual, gate_bias, Gate, m, n, total[0], total[1]);
    }
  }
}

}  // namespace tw
#endif
