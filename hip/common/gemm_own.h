// Few rows of activations: every lane decodes the weights of its own operands of the matrix instructions, in registers.
// Of weights that came to them by way of LDS, as in gemm_bf16.h, the way took twice as long as all the rest.
// Activations lie in LDS, in the order in which lanes read them.
#pragma once
#include "gemm_bf16.h"

#if defined(TW_MMA_OWN)
namespace tw {

/// A workgroup multiplies M rows of activations and 128 rows of weights; a lane takes a part of 32 weights of each of
/// its rows per step.
template <class F, u32 M, bool Gate>
struct GemmOwn {
  typedef GemmTile<M, 128, Gate> Tile;
#if defined(TW_NVIDIA)
  enum : bool { staged = F::block == 32 };
  typedef StagedRows<F, Mma16::own_k> Staged;
#else
  enum : bool { staged = false };
#endif
  enum : u32 {
    threads = Tile::threads,
    outputs_n = Tile::outputs_n,
    parts = Mma16::own_k,
    rows = Mma16::own_rows,
    K = 32 * parts,
    // Sets of 16 rows, of weights that a wave has and of activations.
    own_n = Tile::tile_n / 16 / (threads / TW_WAVE),
    own_m = M / 16,
    chunks = K / 8,
    row_bytes = 2 * K,
    a_bytes = M * row_bytes,
    // Rows that lie between those of a thread's chunks of activations.
    a_step = threads / chunks,
    a_chunks = M > a_step ? M / a_step : 1,
#if defined(TW_NVIDIA)
    stage_bytes = staged ? Tile::tile_n * Staged::stride : 0,
#else
    stage_bytes = 0,
#endif
    // Activations come a step ahead.
    stage_at = 2 * a_bytes,
    tiles = stage_at + stage_bytes,
    lds = tiles > u32(Tile::out_bytes) ? tiles : u32(Tile::out_bytes),
  };
  typedef Mma16::Sums Sums[own_n][own_m];

  /// What a thread loads for one step along k.
  struct Loads {
    typename F::Raw raw[own_n][rows];
#if !defined(TW_NVIDIA)
    u32x4 a[a_chunks];
#endif
  };
  /// A part of each of a lane's rows.
  struct Parts {
    u32 codes[own_n][rows][8];
    float scale[own_n][rows][2], min[own_n][rows][2];
  };

  const tw_hip_matmul_params& p;
  const u8 *a, *b, *gate;
  u8* shared;
  u32 n0;
  /// The last row of activations that there is, and this wave's first row of weights: of the tile.
  u32 last, first;

  /// Rows past the end are the last one again: their sums are not stored.
  TW_MEMBER const u8* weights(u32 row) const {
    const bool gated = Gate && row >= outputs_n;
    const u32 n = n0 + (gated ? row - outputs_n : row), there = n < p.n ? n : p.n - 1;
    return gated ? gate + there * p.gate_stride[0] : b + there * p.b_stride[0];
  }
  static TW_MEMBER u32 first_row() {
    return wave_id() * own_n * 16;
  }
  static TW_MEMBER u32 part() {
    return Mma16::own_part(lane_id());
  }
  /// Blocks of 32 may end in the middle of a step.
  TW_MEMBER bool exists(u32 q) const {
    return F::block >= K || q * 32 < p.k;
  }

  /// Chunks of 16 bytes, four of every part: lanes that read at once, neighbours along k or rows that follow each
  /// other, find theirs in different banks.
  static TW_MEMBER u32 a_place(u32 row, u32 chunk) {
    return row * row_bytes + (chunk ^ (row % 2 * 4 + row / 2 % 4)) * 16;
  }
  template <class Put>
  TW_MEMBER void load_a(u32 k0, Put put) const {
    const u32 t = anew(thread_x()), chunk = t % chunks, q = k0 / 32 + chunk % parts, eight = chunk / parts;
    const u32 at = q / F::parts * F::block + F::run(q % F::parts) + eight / 2 * F::step + eight % 2 * 8;
    const bool there = exists(q);
    TW_UNROLL for (u32 i = 0; i < a_chunks; i++) {
      const u32 row = t / chunks + i * a_step;
      if (M < a_step && row >= M) continue;
      const bool exists = there && row <= last;
      // Rows that are 8 apart have their chunks in the same places.
      put(i, a_place(t / chunks, chunk) + i * a_step * row_bytes, exists ? 2 * (row * p.k + at) : 0, exists);
    }
  }

#if defined(TW_NVIDIA)
  TW_MEMBER void copy_a(u32 k0, u32 buffer) const {
    load_a(
        k0, [&](u32, u32 place, u32 offset, bool there) __attribute__((always_inline)) {
          copy_async(shared + buffer * a_bytes + place, a + offset, there ? 16 : 0);
        });
  }
  TW_MEMBER void copy_weights(u32 k0) const {
    TW_UNROLL for (u32 i = 0; i < 2; i++) {
      const u32 row = first + Staged::row(lane_id(), i);
      Staged::copy(shared + stage_at + row * Staged::stride, weights(row), p.k, k0, lane_id());
    }
  }
#else
  TW_MEMBER void load_activations(u32 k0, Loads& x) const {
    load_a(
        k0, [&](u32 i, u32, u32 offset, bool there)
                __attribute__((always_inline)) { x.a[i] = there ? load_u128<16>(a, offset) : u32x4(0); });
  }
  TW_MEMBER void put_activations(const Loads& x, u32 buffer) const {
    load_a(
        0, [&](u32 i, u32 place, u32, bool)
               __attribute__((always_inline)) { *(u32x4*)(shared + buffer * a_bytes + place) = x.a[i]; });
  }
#endif

  TW_MEMBER void load_weights(u32 k0, Loads& x) const {
    const u32 lane = M > 32 ? anew(lane_id()) : lane_id(), q = k0 / 32 + Mma16::own_part(lane);
    if (!exists(q)) return;
    TW_UNROLL for (u32 j = 0; j < own_n; j++) {
      TW_UNROLL for (u32 r = 0; r < rows; r++) {
        const u32 row = first + 16 * j + Mma16::own_row(lane, r);
        const u8* own = weights(row);
#if defined(TW_NVIDIA)
        if (staged) {
          x.raw[j][r] = Staged::load(shared + stage_at + row * Staged::stride, own, k0, part());
          continue;
        }
#endif
        x.raw[j][r] = F::load(own, q / F::parts * F::bytes, q % F::parts);
      }
    }
  }

  TW_MEMBER void decode(u32 k0, const Loads& x, Parts& to) const {
    const u32 q = k0 / 32 + part();
    TW_UNROLL for (u32 j = 0; j < own_n; j++) {
      TW_UNROLL for (u32 r = 0; r < rows; r++) {
        if (exists(q)) F::decode(x.raw[j][r], q % F::parts, to.codes[j][r], to.scale[j][r], to.min[j][r]);
        canonical<F>(to.scale[j][r]), canonical<F>(to.min[j][r]);
      }
    }
  }

  /// The products of one run of every part.
  TW_MEMBER void multiply(const Parts& own, u32 buffer, u32 run, Sums& sums) const {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 chunk = 2 * run; chunk < 2 * run + 2; chunk++) {
      // Rows that are 8 apart have their chunks in the same places.
      const u8* from =
          shared + buffer * a_bytes + a_place(Mma16::own_row(lane, 0), chunk * parts + Mma16::own_part(lane));
      u32x4 left[own_n][rows];
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        TW_UNROLL for (u32 r = 0; r < rows; r++) {
          left[j][r] = round_eight<F>(own.codes[j][r], own.scale[j][r], own.min[j][r], chunk);
        }
      }
      TW_UNROLL for (u32 i = 0; i < own_m; i++) {
        u32x4 right[rows];
        TW_UNROLL for (u32 r = 0; r < rows; r++) {
          right[r] = Mma16::load_vector(from + (16 * i + Mma16::own_row(0, r)) * row_bytes);
        }
        TW_UNROLL for (u32 j = 0; j < own_n; j++) sums[j][i] = Mma16::own_bf16(left[j], right, sums[j][i]);
      }
      // Asked for all at once, the operands would fill the registers.
      schedule_barrier();
    }
  }

  static TW_MEMBER void stage(u8* shared, const Sums& sums, u32 part) {
    const u32 lane = lane_id();
    TW_UNROLL for (u32 i = 0; i < own_m; i++) {
      if (16 * i / Tile::out_rows != part) continue;
      TW_UNROLL for (u32 j = 0; j < own_n; j++) {
        TW_UNROLL for (u32 s = 0; s < Mma16::sums; s++) {
          const u32 row = 16 * i % Tile::out_rows + Mma16::column(lane, s);
          ((float*)shared)[row * Tile::out_stride + first_row() + 16 * j + Mma16::row(lane, s)] = sums[j][i][s];
        }
      }
    }
  }
};

/// `shared` has GemmOwn<F, M, Gate>::lds bytes.
template <class F, u32 M, bool Gate>
TW_DEVICE void gemm_own(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
  typedef GemmOwn<F, M, Gate> Gemm;
  enum : u32 { K = Gemm::K };
  const Share share = Share::of(p, K);
  const u32 z = share.z, m0 = block_x() * M, n0 = block_y() * Gemm::outputs_n;
  const Gemm tile = {p,
                     a + 2 * (u64(z) * p.m + m0) * p.k,
                     b + batch_offset(p.batch, p.b_batch, z),
                     Gate ? gate + batch_offset(p.batch, p.gate_batch, z) : nullptr,
                     shared,
                     n0,
                     p.m - 1 - m0,
                     Gemm::first_row()};
  typename Gemm::Sums sums = {};
  typename Gemm::Loads loads;
  const u32 begin = share.begin * K, end = share.end * K;
  u32 buffer = 0;
  if (begin < end) {
#if defined(TW_NVIDIA)
    tile.copy_a(begin, 0);
    if (Gemm::staged) tile.copy_weights(begin);
#else
    tile.load_activations(begin, loads);
#endif
    if (!Gemm::staged) tile.load_weights(begin, loads);
  }
  for (u32 k0 = begin; k0 < end; k0 += K) {
    typename Gemm::Parts own = {};
#if defined(TW_NVIDIA)
    wait_for_copies();
#else
    tile.put_activations(loads, buffer);
#endif
    barrier_lds();
    if (Gemm::staged) tile.load_weights(k0, loads);
    tile.decode(k0, loads, own);
    // The more sums, the fewer registers are left for what is loaded ahead.
    if (M > 32) tile.multiply(own, buffer, 0, sums);
    if (k0 + K < end) {
#if defined(TW_NVIDIA)
      tile.copy_a(k0 + K, buffer ^ 1);
      if (Gemm::staged) {
        // All lanes have their words.
        wave_barrier();
        tile.copy_weights(k0 + K);
      }
#else
      tile.load_activations(k0 + K, loads);
#endif
      if (!Gemm::staged) tile.load_weights(k0 + K, loads);
    }
    if (M <= 32) tile.multiply(own, buffer, 0, sums);
    tile.multiply(own, buffer, 1, sums);
    buffer ^= 1;
  }
  barrier_lds();
  Gemm::Tile::template store<Gemm, true>(TW_HIP_MATMUL_PASSED, sums, shared, m0, n0, z);
}

}  // namespace tw
#endif

namespace tw {

#if defined(TW_MMA_OWN)
/// The most rows of activations for which lanes decode their own operands, and how many workgroups of 16 rows an NVIDIA
/// processor has registers for beside each other without spills. What lies in LDS on the way anyway is better
/// decoded once from 64 rows on, and Q3_K's words and 64 rows of sums do not fit the registers.
template <class F>
struct FewRows {
  enum : u32 { most = F::block == 32 ? 32 : 64, beside = 3 };
};
template <>
struct FewRows<Q3_K> {
  enum : u32 { most = 32, beside = 3 };
};
template <>
struct FewRows<Q5_K> {
  enum : u32 { most = 64, beside = 2 };
};

template <class F, u32 M>
struct IsFew {
  enum : bool { value = M <= u32(FewRows<F>::most) };
};
#else
template <class F, u32 M>
struct IsFew {
  enum : bool { value = false };
};
#endif

/// The GEMM of M rows of activations: its LDS, and the workgroups that are to run beside each other.
template <class F, u32 M, bool Gate, bool Few = IsFew<F, M>::value>
struct Gemm {
  enum : u32 { lds = GemmBF16<F, M, Gate>::lds, beside = M == 128 ? 2 : M == 64 ? 3 : 4 };
  static TW_MEMBER void run(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
    gemm_bf16<F, M, Gate>(TW_HIP_MATMUL_PASSED, shared);
  }
};
#if defined(TW_MMA_OWN)
template <class F, u32 M, bool Gate>
struct Gemm<F, M, Gate, true> {
  enum : u32 { lds = GemmOwn<F, M, Gate>::lds, beside = M == 16 ? u32(FewRows<F>::beside) : 2 };
  static TW_MEMBER void run(TW_HIP_MATMUL_PARAMETERS, u8* shared) {
    gemm_own<F, M, Gate>(TW_HIP_MATMUL_PASSED, shared);
  }
};
#endif

}  // namespace tw
