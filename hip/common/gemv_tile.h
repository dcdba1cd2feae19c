// The GEMV for 8 rows of activations by matrix instructions. A wave has 16 or 32 rows of weights (with a gate, half of
// them are the gate's), several in each lane, and 256 weights of them per step: a lane takes two neighbouring parts of
// its rows (formats/format.h), decoded to bytes in registers. Activations are those of gemv.h, 8 rows interleaved.
//
// The next step's weights and activations are copied to LDS while this one's are multiplied. LDS is no place to share
// them here: each wave has its own, and needs no barrier. It hides the latency of memory without registers, and all
// formats have whole words to copy.
#pragma once
#include "gemv.h"
#include "tile_mma.h"

#if defined(TW_TILE_MMA)
namespace tw {

enum : u32 { tile_columns = 8, tile_stages = 2 };

/// Formats of which the two parts of a lane have the same two scales: their runs are taken together.
template <class F>
struct SharedScales {
  static constexpr bool value = false;
};
template <>
struct SharedScales<Q4_K> {
  static constexpr bool value = true;
};
template <>
struct SharedScales<Q5_K> {
  static constexpr bool value = true;
};

/// Formats with scales of more than 22 bits, see TileSums.
template <class F>
struct WideScales {
  static constexpr bool value = false;
};
template <>
struct WideScales<Q8_K> {
  static constexpr bool value = true;
};

/// What is multiplied before scales are applied: 8 words of a row, of one scale or of one per half.
template <class F>
struct TileUnit {
  static constexpr bool shared = SharedScales<F>::value;
  static constexpr u32 scales = shared || F::one_scale ? 1 : 2;
  u32 codes[8];
  float scale[scales], min[scales];
};

template <class F>
TW_DEVICE void decode_units(const typename F::Raw raw[2], u32 part, TileUnit<F> to[2]) {
  typedef TileUnit<F> Unit;
  u32 codes[2][8];
  float scale[2][2], min[2][2];
  TW_UNROLL for (u32 p = 0; p < 2; p++) F::decode(raw[p], part + p, codes[p], scale[p], min[p]);
  TW_UNROLL for (u32 u = 0; u < 2; u++) {
    TW_UNROLL for (u32 i = 0; i < 8; i++) {
      to[u].codes[i] = Unit::shared ? codes[i / 4][4 * u + i % 4] : codes[u][i];
    }
    TW_UNROLL for (u32 h = 0; h < Unit::scales; h++) {
      to[u].scale[h] = Unit::shared ? scale[0][u] : scale[u][h];
      to[u].min[h] = Unit::shared ? min[0][u] : min[u][h];
    }
  }
}

/// LDS: zeros as long as the activations of a step, 8 rows of 256; then per wave and stage such activations, and Rows
/// rows of weights. ts/kernels/hip/gemv.ts counts the same.
template <class F, u32 Rows>
struct TileStage {
  enum : u32 {
    step_bytes = q8_block / F::block * F::bytes,
    // Copies begin at multiples of 16, where rows may not.
    row_bytes = step_bytes % 16 == 0 && F::align == 16 ? u32(step_bytes) : (step_bytes + 30) / 16 * 16,
    activations = tile_columns * q8_bytes,
    bytes = activations + Rows * row_bytes,
    wave_bytes = tile_stages * bytes,
  };
};

template <class F, u32 Rows, bool Gate>
TW_DEVICE void gemv_tile(TW_HIP_MATMUL_PARAMETERS, u8* memory) {
  typedef TileMma Mma;
  typedef TileUnit<F> Unit;
  typedef TileStage<F, Rows> Stage;
  constexpr u32 C = tile_columns, J = Mma::columns, S = Rows / Mma::rows, passes = C / J;
  constexpr u32 own_n = Gate ? S / 2 : S, outputs_n = own_n * Mma::rows;
  const u32 entry = block_z(), lane = lane_id(), wave = wave_id(), split = 1u << p.split_shift;
  const u32 n0 = (block_x() * p.groups + (wave >> p.split_shift)) * outputs_n;
  const u32 row = Mma::row(lane), slot = Mma::slot(lane);

  // Of each row: its first byte's place in 16 bytes, and what begins there.
  const u8* rows[S];
  u32 odd[S];
  TW_UNROLL for (u32 s = 0; s < S; s++) {
    const u32 n = n0 + row + s % own_n * Mma::rows;
    const i64 at = n < p.n ? n : p.n - 1;
    rows[s] = s >= own_n ? gate + batch_offset(p.batch, p.gate_batch, entry) + at * p.gate_stride[0]
                         : b + batch_offset(p.batch, p.b_batch, entry) + at * p.b_stride[0];
    odd[s] = F::align == 16 ? 0 : u32((u64)rows[s]) % 16;
    rows[s] = rows[s] - odd[s] + 16 * slot;
  }
  const u32 blocks = q8_blocks(p.k), row_bytes = p.k / F::block * F::bytes;
  const u8* activations = a + u64(entry * ((p.m + C - 1) / C) + block_y()) * blocks * (C * q8_bytes) + lane * 16;
  u8* own = memory + Stage::activations + wave * Stage::wave_bytes;
  u8* copied = own + lane * 16;
  u8* copied_row = own + Stage::activations + row * Stage::row_bytes + 16 * slot;

  const auto fetch = [&](u32 block, u32 stage) {
    if (block < blocks) {
      const u32 to = stage * Stage::bytes;
      const u8* from = activations + block * Stage::activations;
      TW_UNROLL for (u32 i = 0; i < Stage::activations; i += 16 * TW_WAVE) {
        if (i + 16 * TW_WAVE <= Stage::activations || i + 16 * lane < Stage::activations) {
          Mma::copy(copied + to + i, from + i);
        }
      }
      TW_UNROLL for (u32 s = 0; s < S; s++) {
        const u32 at = (odd[s] + block * Stage::step_bytes) & ~15u;
        const i32 left = i32(odd[s] + row_bytes) - i32(at + 16 * slot);
        TW_UNROLL for (u32 i = 0; i < Stage::row_bytes; i += 16 * Mma::slots) {
          if (i + 16 * Mma::slots > Stage::row_bytes && i + 16 * slot >= Stage::row_bytes) continue;
          u8* chunk = copied_row + to + s * Mma::rows * Stage::row_bytes + i;
          const i32 exist = left - i32(i);
          Mma::stream(chunk, rows[s] + at + i, at + i + 16 * slot == 0 ? odd[s] : 0,
                      F::align == 16 || exist > 16 ? 16
                      : exist < 0                  ? 0
                                                   : exist);
        }
      }
    }
    Mma::commit();
  };

  const u32 first = wave & (split - 1);
  TW_UNROLL for (u32 i = 0; i + 1 < tile_stages; i++) fetch(first + i * split, i);
  for (u32 i = wave * TW_WAVE + lane; i < Stage::activations / 4; i += (p.groups << p.split_shift) * TW_WAVE) {
    ((u32*)memory)[i] = 0;
  }
  barrier_lds();

  const bool diagonal = Mma::diagonal(lane);
  const u32 diagonal_at = Mma::column(lane) * q8_bytes + q8_codes + 32 * slot;
  float sums[S][C] = {};
  u32 stage = 0, next = tile_stages - 1;
  for (u32 block = first; block < blocks; block += split) {
    Mma::wave_barrier();
    fetch(block + (tile_stages - 1) * split, next);
    Mma::wait<tile_stages - 1>();
    Mma::wave_barrier();
    const u8* staged = own + stage * Stage::bytes;
    const u8* on_diagonal = diagonal ? staged + diagonal_at : memory;
    stage = stage + 1 == tile_stages ? 0 : stage + 1;
    next = next + 1 == tile_stages ? 0 : next + 1;

    Unit units[S][2];
    TW_UNROLL for (u32 s = 0; s < S; s++) {
      typename F::Raw raw[2];
      const u8* from = staged + Stage::activations + (s * Mma::rows + row) * Stage::row_bytes;
      const u32 at = F::align == 16 ? 0 : (odd[s] + block * Stage::step_bytes) % 16;
      TW_UNROLL for (u32 i = 0; i < 2; i++) {
        raw[i] = F::load(from, at + (F::parts == 1 ? (2 * slot + i) * F::bytes : 0), F::parts == 1 ? 0 : 2 * slot + i);
      }
      decode_units<F>(raw, 2 * slot, units[s]);
    }
    TW_UNROLL for (u32 i = 0; i < passes; i++) {
      u32x4 records[J];
      TW_UNROLL for (u32 j = 0; j < J; j++) records[j] = *(const u32x4*)(staged + 16 * slot + (i * J + j) * q8_bytes);
      TW_UNROLL for (u32 u = 0; u < 2; u++) {
        // Two words of each run.
        const u8* codes = on_diagonal + i * J * q8_bytes + (Unit::shared ? 128 : 16) * u;
        const u32x4 x0 = Mma::words(codes), x1 = Mma::words(codes + (Unit::shared ? 16 : 128));
        i32 dots[Unit::scales][S][J];
        TW_UNROLL for (u32 h = 0; h < Unit::scales * S * J; h++) dots[h / (S * J)][h / J % S][h % J] = Mma::start;
        TW_UNROLL for (u32 w = 0; w < 8; w += 2) {
          const u32x4 x = w < 4 ? x0 : x1;
          const u32* rows_words[S];
          TW_UNROLL for (u32 s = 0; s < S; s++) rows_words[s] = units[s][u].codes + w;
          Mma::template multiply<S>(rows_words, x[w % 4], x[w % 4 + 1], dots[w * Unit::scales / 8]);
        }
        TW_UNROLL for (u32 j = 0; j < J; j++) {
          TW_UNROLL for (u32 h = 0; h < Unit::scales; h++) {
            const u32 record = records[j][Unit::shared ? u : 2 * u + h];
            const u32 other = Unit::shared ? records[j][2 + u] : F::one_scale ? records[j][2 * u + 1] : 0;
            const float codes_sum = F::has_min ? float(i16(record + other)) : 0.0f;
            TW_UNROLL for (u32 s = 0; s < S; s++) {
              const Unit& unit = units[s][u];
              const float dot = bits_as<float>(dots[h][s][j]);
              float value = WideScales<F>::value ? unit.scale[h] * (dot - Mma::offset)
                                                 : __builtin_fmaf(unit.scale[h], dot, -Mma::offset * unit.scale[h]);
              if (F::has_min) value -= unit.min[h] * codes_sum;
              sums[s][i * J + j] += q8_step(record) * value;
            }
          }
        }
      }
    }
  }

  barrier_lds();
  float* partial = (float*)memory;
  // Every slot of every wave has a share of each sum.
  TW_UNROLL for (u32 s = 0; s < S; s++) {
    TW_UNROLL for (u32 c = 0; c < C; c++) partial[((wave * S + s) * C + c) * TW_WAVE + lane] = sums[s][c];
  }
  barrier_lds();
  const i64 out_at = batch_offset(p.batch, p.out_batch, entry) * dtype_bytes(p.out_dtype);
  if (residual != nullptr) residual += batch_offset(p.batch, p.residual_batch, entry) * dtype_bytes(p.residual_dtype);
  const u32 first_wave = wave >> p.split_shift << p.split_shift;
  for (u32 i = (wave - first_wave) * TW_WAVE + lane; i < outputs_n * C; i += TW_WAVE << p.split_shift) {
    const u32 r = i % outputs_n, c = i / outputs_n, n = n0 + r, m = block_y() * C + c;
    float total[2] = {0.0f, 0.0f};
    TW_UNROLL for (u32 g = 0; g < (Gate ? 2 : 1); g++) {
      const u32 s = g * own_n + r / Mma::rows;
      for (u32 w = first_wave; w < first_wave + split; w++) {
        const float* from = partial + ((w * S + s) * C + c) * TW_WAVE;
        TW_UNROLL for (u32 t = 0; t < Mma::slots; t++) total[g] += from[Mma::lane(r % Mma::rows, t)];
      }
    }
    if (n < p.n && m < p.m) {
      store_output(p, out + out_at, bias, residual, gate_bias, Gate, m, n, total[0], total[1]);
    }
  }
}

}  // namespace tw
#endif
