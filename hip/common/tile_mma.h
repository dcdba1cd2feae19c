// The matrix instruction of the tiled GEMV (gemv_tile.h): every lane multiplies words of its own rows of weights with
// activations, and has the sums itself. TW_TILE_MMA tells that the target has it: NVIDIA GPUs; and the test bed as
// gfx942, so that the rest of the kernel runs there.
//
// A matrix instruction adds up what the lanes of a row hold, but they hold different parts of it, with different
// scales. So its other operand is block-diagonal: some of its columns are of the first slot (a lane of a row), with
// zeros in the words of all other slots, some are of the second, and so on. Chosen well, a lane gets the sums of its
// own slot, and scales and mins need never be exchanged.
#pragma once
#include "memory.h"

namespace tw {

/// Sums start as `start`, a float with room for 2^22 in its mantissa: what is added to the integer is added to the
/// float. So scale * sum is one multiply-add with -scale * offset, which is exact for scales of at most 22 bits.
struct TileSums {
  static constexpr i32 start = 0x4b400000;
  static constexpr float offset = 12582912.0f;
};

#if defined(TW_NVIDIA)
#define TW_TILE_MMA 1
/// mma.m16n8k32: lane / 4 has two rows of weights, lane % 4 is the slot, and slot s has columns 2s and 2s + 1.
struct TileMma : TileSums {
  enum : u32 { rows = 8, slots = 4, columns = 2 };
  typedef __attribute__((address_space(3))) void* Shared;
  typedef const __attribute__((address_space(1))) void* Device;
  static TW_MEMBER u32 row(u32 lane) { return lane / 4; }
  static TW_MEMBER u32 slot(u32 lane) { return lane % 4; }
  static TW_MEMBER u32 lane(u32 row, u32 slot) { return 4 * row + slot; }
  /// Whether this lane's place in the operand is on the diagonal; and of which column.
  static TW_MEMBER bool diagonal(u32 lane) { return lane / 8 == lane % 4; }
  static TW_MEMBER u32 column(u32 lane) { return lane / 4 % 2; }

  /// 16 bytes from device to shared memory; after wait<N>() all but the last N groups of them are there.
  static TW_MEMBER void copy(u8* to, const u8* from) { __nvvm_cp_async_ca_shared_global_16((Shared)to, (Device)from); }
  /// The first `bytes` of 16, which are read once and so kept out of the first cache; zeros for the others. The first
  /// `before` may lie in front of the buffer, but not of its allocation: those begin at multiples of 16.
  static TW_MEMBER void stream(u8* to, const u8* from, u32 /*before*/, u32 bytes) {
    __nvvm_cp_async_cg_shared_global_16((Shared)to, (Device)from, bytes);
  }
  static TW_MEMBER void commit() { __nvvm_cp_async_commit_group(); }
  template <u32 N>
  static TW_MEMBER void wait() {
    __nvvm_cp_async_wait_group(N);
  }
  static TW_MEMBER void wave_barrier() { __nvvm_bar_warp_sync(~0u); }

  /// 16 bytes of shared memory by one instruction: the compiler would make two of it.
  static TW_MEMBER u32x4 words(const u8* at) {
    u32x4 x;
    __asm__ volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                     : "l"((Shared)at));
    return x;
  }

  /// sums[s][j] += words x and y of column j times two words of each of two rows.
  template <u32 S>
  static TW_MEMBER void multiply(const u32* const rows[S], u32 x, u32 y, i32 (&sums)[S][columns]) {
    TW_UNROLL for (u32 s = 0; s < S; s += 2) {
      __asm__(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%0, %1, %2, %3};"
          : "+r"(sums[s][0]), "+r"(sums[s][1]), "+r"(sums[s + 1][0]), "+r"(sums[s + 1][1])
          : "r"(rows[s][0]), "r"(rows[s + 1][0]), "r"(rows[s][1]), "r"(rows[s + 1][1]), "r"(x), "r"(y));
    }
  }
};
#elif defined(__SIMT__) && defined(__gfx942__)
#define TW_TILE_MMA 1
/// mfma_i32_16x16x32: lane % 16 has rows, lane / 16 is the slot, and slot s has columns 4s to 4s + 3.
struct TileMma : TileSums {
  enum : u32 { rows = 16, slots = 4, columns = 4 };
  static TW_MEMBER u32 row(u32 lane) { return lane % 16; }
  static TW_MEMBER u32 slot(u32 lane) { return lane / 16; }
  static TW_MEMBER u32 lane(u32 row, u32 slot) { return 16 * slot + row; }
  static TW_MEMBER bool diagonal(u32 lane) { return lane % 16 / 4 == lane / 16; }
  static TW_MEMBER u32 column(u32 lane) { return lane % 4; }

  static TW_MEMBER void copy(u8* to, const u8* from) { *(u32x4*)to = *(const u32x4*)from; }
  static TW_MEMBER void stream(u8* to, const u8* from, u32 before, u32 bytes) {
    if (before == 0 && bytes == 16) return copy(to, from);
    for (u32 i = 0; i < 16; i++) to[i] = i >= before && i < bytes ? from[i] : 0;
  }
  static TW_MEMBER void commit() {}
  template <u32 N>
  static TW_MEMBER void wait() {}
  static TW_MEMBER void wave_barrier() { __builtin_amdgcn_wave_barrier(); }
  static TW_MEMBER u32x4 words(const u8* at) { return *(const u32x4*)at; }

  template <u32 S>
  static TW_MEMBER void multiply(const u32* const rows[S], u32 x, u32 y, i32 (&sums)[S][columns]) {
    typedef i32 i32x4 __attribute__((ext_vector_type(4)));
    const long activations = long(u64(y) << 32 | x);
    TW_UNROLL for (u32 s = 0; s < S; s++) {
      i32x4 c = {sums[s][0], sums[s][1], sums[s][2], sums[s][3]};
      const long weights = long(u64(rows[s][1]) << 32 | rows[s][0]);
      c = __builtin_amdgcn_mfma_i32_16x16x32_i8(activations, weights, c, 0, 0, 0);
      TW_UNROLL for (u32 j = 0; j < columns; j++) sums[s][j] = c[j];
    }
  }
};
#endif

}  // namespace tw
