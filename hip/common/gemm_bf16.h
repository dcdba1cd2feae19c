// Block-quantized weights times activations in bfloat16, as products of bfloat16 by matrix instructions with sums in
// f32. Weights are decoded and rounded on the way into LDS, once for all of the tile's rows of activations, so that the
// loop holds nothing but matrix instructions: of 8-bit products every 32 cost a conversion and two or three
// multiply-adds per sum. A bfloat16 has the range of f32 and at most 1/512 of error; 8 bits per group of 32 have as
// much of the group's largest.
#pragma once
#include "../formats/formats.h"
#include "gemm_tile.h"
#include "mma16.h"

#if defined(TW_MMA_BF16)
namespace tw {

/// Scales or mins without NaNs of other payloads than arithmetic's, which rounding might turn into infinities.
template <class F>
TW_DEVICE void canonical(float x[2]) {
  TW_UNROLL for (u32 r = 0; r < (F::one_scale ? 1 : 2); r++) x[r] = plain_nan(x[r]);
}
/// Eight decoded weights of a part as bfloat16: those of half chunk % 2 of run chunk / 2.
template <class F>
TW_DEVICE u32x4 round_eight(const u32 codes[8], const float scale[2], const float min[2], u32 chunk) {
  const float s = scale[F::one_scale ? 0 : chunk / 2], m = min[F::one_scale ? 0 : chunk / 2];
  u32x4 out;
  TW_UNROLL for (u32 pair = 0; pair < 4; pair++) {
    const u32 word = codes[2 * chunk + pair / 2];
    float w[2];
    TW_UNROLL for (u32 i = 0; i < 2; i++) {
      // Codes with mins have no sign.
      const u32 byte = 2 * (pair % 2) + i;
      w[i] = F::has_min ? __builtin_fmaf(unsigned_byte(word, byte), s, -m) : signed_byte(word, byte) * s;
    }
    out[pair] = pack_bf16(w[0], w[1]);
  }
  return out;
}

/// Rows of K bfloat16 in LDS, whose chunks of 16 bytes lie where no two of eight neighbouring rows have the same one in
/// the same banks.
template <u32 K>
struct BF16Tile {
  enum : u32 { row_bytes = 2 * K, chunks = K / 8 };
  static TW_MEMBER u32 place(u32 row, u32 chunk) { return row * row_bytes + (chunk ^ row % 8) * 16; }

  /// Sixteen rows from `base`, 16 along k from chunk `chunk`.
  const u8* base;
  u32 chunk;
  TW_MEMBER const u8* operator()(u32 row, u32 at) const { return base + place(row, chunk + at / 16) + at % 16; }
};

#if defined(TW_NVIDIA)
/// Blocks of 32 are not aligned: their words come to LDS first, in whole vectors and past the registers. Words loaded
/// one by one from as many rows as a wave has would keep the cache busy for longer than the products take. A wave
/// copies its own 16 rows, eight at a time: four lanes have neighbouring vectors of a row, as every line that is
/// touched takes a turn of the cache, and a lane has two rows, as more addresses would fill the registers.
template <class F, u32 Parts>
struct StagedRows {
  enum : u32 {
    // Vectors that a row's bytes of one step may touch, and an odd number of vectors from row to row.
    vectors = (Parts * F::bytes + 15 - F::align) / 16 + 1,
    stride = (vectors | 1) * 16,
  };
  static TW_MEMBER u32 row(u32 lane, u32 i) { return lane / 4 + 8 * i; }
  /// Of the row at `own`, what begins at k0; `to` is the row's place in LDS. Up to the end of the row, which may be
  /// that of all memory; `inner` says that it is far.
  static TW_MEMBER void copy(u8* to, const u8* own, u32 k, u32 k0, u32 lane, bool inner = false) {
    const u32 slot = lane % 4 * 16;
    const u32 odd = u32((u64)own % 16), at = (odd + k0 / 32 * F::bytes) & ~15u;
    const i32 left = i32(odd + k / 32 * F::bytes - at - slot);
    TW_UNROLL for (u32 i = 0; i < 16 * vectors; i += 64) {
      if (i + 64 > 16 * vectors && slot + i >= 16 * vectors) continue;
      const u8* from = own - odd + at + slot + i;
      const i32 rest = left - i32(i);
      if (inner) {
        copy_async(to + slot + i, from);
      } else {
        copy_async(to + slot + i, from, rest >= 16 ? 16 : rest > 0 ? rest : 0);
      }
    }
  }
  static TW_MEMBER typename F::Raw load(const u8* from, const u8* own, u32 k0, u32 part) {
    return F::load(from + ((u64)own + k0 / 32 * F::bytes) % 16, part * F::bytes, 0);
  }
};
#endif

/// A workgroup multiplies M rows of activations and 128 rows of weights, 64 along k at a time: one part of 32 weights
/// per thread and step.
template <class F, u32 M, bool Gate>
struct GemmBF16 {
  enum : u32 { K = 64, parts = K / 32 };
  typedef GemmTile<M, 128, Gate> Tile;
  typedef BF16Tile<K> Rows;
#if defined(TW_NVIDIA)
  enum : bool { staged = F::block == 32 };
  typedef StagedRows<F, parts> Staged;
#else
  enum : bool { staged = false };
#endif
  enum : u32 {
    threads = Tile::threads,
    outputs_n = Tile::outputs_n,
    // Places in LDS, in bytes.
    b_at = M * Rows::row_bytes,
    stage_at = b_at + Tile::tile_n * Rows::row_bytes,
#if defined(TW_NVIDIA)
    tiles = stage_at + (staged ? Tile::tile_n * Staged::stride : 0),
#else
    tiles = stage_at,
#endif
    lds = tiles > u32(Tile::out_bytes) ? tiles : u32(Tile::out_bytes),
    // Rows that lie between those of a thread's chunks of activations.
    a_step = threads / Rows::chunks,
    a_chunks = M > a_step ? M / a_step : 1,
  };
  typedef Mma16::Sums Sums[Tile::own_m][Tile::own_n];

  /// What a thread loads for one step along k; nothing is done with it before the step's turn.
  struct Loads {
    typename F::Raw raw;
#if !defined(TW_NVIDIA)
    u32x4 a[a_chunks];
#endif
  };

  /// Activations from the first row of the tile on, and weights.
  const tw_hip_matmul_params& p;
  const u8 *a, *b, *gate;
  u8* shared;
  u32 n0;
  /// The last row of activations that there is, from the first of the tile.
  u32 last;
  /// This thread's row of weights.
  const u8* own;

  /// Rows past the end are the last one again: their sums are not stored.
  TW_MEMBER const u8* weights(u32 row) const {
    const bool gated = Gate && row >= outputs_n;
    const u32 n = n0 + (gated ? row - outputs_n : row), there = n < p.n ? n : p.n - 1;
    return gated ? gate + there * p.gate_stride[0] : b + there * p.b_stride[0];
  }
  /// The row of weights and the part of it that a thread decodes.
  static TW_MEMBER u32 own_row(u32 t) {
    return t / parts;
  }
  static TW_MEMBER u32 own_part(u32 t) {
    return t % parts;
  }
  /// Blocks of 32 may end in the middle of a step.
  TW_MEMBER bool exists(u32 q) const {
    return F::block >= K || q * 32 < p.k;
  }

  static TW_MEMBER u32 a_place(u32 i) {
    return Rows::place(thread_x() / Rows::chunks, thread_x() % Rows::chunks) + i * a_step * Rows::row_bytes;
  }
  /// Activations of the step at k0, in the order in which the weights' runs of 16 lie: which need not be neighbours.
  template <class Put>
  TW_MEMBER void load_a(u32 k0, Put put) const {
    const u32 t = anew(thread_x()), chunk = t % Rows::chunks, q = k0 / 32 + chunk / 4;
    const u32 at = q / F::parts * F::block + F::run(q % F::parts) + chunk / 2 % 2 * F::step + chunk % 2 * 8;
    const bool there = exists(q);
    TW_UNROLL for (u32 i = 0; i < a_chunks; i++) {
      const u32 row = t / Rows::chunks + i * a_step;
      // Rows past the end are zeros: the last one again, for all of them, would be asked of one place at once.
      if (M < a_step && row >= M) continue;
      const bool exists = there && row <= last;
      put(i, exists ? 2 * (row * p.k + at) : 0, exists);
    }
  }

  /// What has to be there before the step at k0 is unpacked.
  TW_MEMBER void load(u32 k0, Loads& x) const {
    const u32 t = staged && M == 128 ? thread_x() : anew(thread_x()), q = k0 / 32 + own_part(t);
#if defined(TW_NVIDIA)
    if (staged) {
      TW_UNROLL for (u32 i = 0; i < 2; i++) {
        const u32 row = t / 32 * 16 + Staged::row(t % 32, i);
        Staged::copy(shared + stage_at + row * Staged::stride, weights(row), p.k, k0, t % 32,
                     M == 128 && k0 + 2 * K <= p.k);
      }
      return;
    }
#else
    load_a(
        k0, [&](u32 i, u32 offset, bool there)
                __attribute__((always_inline)) { x.a[i] = there ? load_u128<16>(a, offset) : u32x4(0); });
#endif
    if (exists(q)) x.raw = F::load(own, q / F::parts * F::bytes, q % F::parts);
  }

  TW_MEMBER void unpack(u32 k0, Loads& x) const {
    const u32 t = staged && M == 128 ? thread_x() : anew(thread_x()), q = k0 / 32 + own_part(t), row = own_row(t);
#if defined(TW_NVIDIA)
    load_a(
        k0, [&](u32 i, u32 offset, bool there)
                __attribute__((always_inline)) { copy_async(shared + a_place(i), a + offset, there ? 16 : 0); });
    if (staged && exists(q)) {
      x.raw = Staged::load(shared + stage_at + row * Staged::stride, own, k0, own_part(t));
    }
#else
    TW_UNROLL for (u32 i = 0; i < a_chunks; i++) {
      if (M >= a_step || thread_x() < M * Rows::chunks) *(u32x4*)(shared + a_place(i)) = x.a[i];
    }
#endif
    u32 codes[8] = {};
    float scale[2] = {}, min[2] = {};
    if (exists(q)) F::decode(x.raw, q % F::parts, codes, scale, min);
    canonical<F>(scale), canonical<F>(min);
    TW_UNROLL for (u32 chunk = 0; chunk < 4; chunk++) {
      *(u32x4*)(shared + b_at + Rows::place(row, own_part(t) * 4 + chunk)) = round_eight<F>(codes, scale, min, chunk);
    }
  }

  TW_MEMBER void multiply(Sums& sums) const {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 chunk = 0; chunk < Rows::chunks; chunk += 2) {
      Mma16::Operand right[Tile::own_n];
      TW_UNROLL for (u32 j = 0; j < Tile::own_n; j++) {
        right[j] = Mma16::load_b(Rows{shared + b_at + Tile::tile_column(j) * Rows::row_bytes, chunk}, lane);
      }
      TW_UNROLL for (u32 i = 0; i < Tile::own_m; i++) {
        const Mma16::Operand left = Mma16::load_a(Rows{shared + Tile::tile_row(i) * Rows::row_bytes, chunk}, lane);
        TW_UNROLL for (u32 j = 0; j < Tile::own_n; j++) sums[i][j] = Mma16::bf16(left, right[j], sums[i][j]);
      }
      // Asked for all at once, the operands would fill the registers.
      schedule_barrier();
    }
  }

  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    Tile::template stage_tiles<Mma16>((float*)shared, sums, part);
  }
};

/// `shared` has GemmBF16<F, M, Gate>::lds bytes.
template <class F, u32 M, bool Gate>
TW_DEVICE void gemm_bf16(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
  typedef GemmBF16<F, M, Gate> Gemm;
  enum : u32 { K = Gemm::K };
  const Share share = Share::of(p, K);
  const u32 z = share.z, m0 = block_x() * M, n0 = block_y() * Gemm::outputs_n;
  Gemm tile = {p,
               a + 2 * (u64(z) * p.m + m0) * p.k,
               b + batch_offset(p.batch, p.b_batch, z),
               Gate ? gate + batch_offset(p.batch, p.gate_batch, z) : nullptr,
               shared,
               n0,
               p.m - 1 - m0,
               nullptr};
  tile.own = tile.weights(Gemm::own_row(thread_x()));
  typename Gemm::Sums sums = {};
  typename Gemm::Loads loads;
  const u32 begin = share.begin * K, end = share.end * K;
  if (begin < end) tile.load(begin, loads);
#if defined(TW_NVIDIA)
  if (Gemm::staged) {
    wait_for_copies();
    barrier_lds();
  }
#endif
  for (u32 k0 = begin; k0 < end; k0 += K) {
    tile.unpack(k0, loads);
#if defined(TW_NVIDIA)
    wait_for_copies();
#endif
    barrier_lds();
    if (k0 + K < end) tile.load(k0 + K, loads);
    tile.multiply(sums);
#if defined(TW_NVIDIA)
    if (Gemm::staged) wait_for_copies();
#endif
    barrier_lds();
  }
  Gemm::Tile::template store<Gemm, true>(TW_HIP_MATMUL_PASSED, sums, shared, m0, n0, z);
}

}  // namespace tw
#endif
