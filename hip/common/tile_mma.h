// The matrix instruction of the tiled GEMV (gemv_tile.h): 16 rows of weights times 8 rows of activations, over runs of
// 32 or 16 along k. TW_TILE_MMA tells that the target has it: NVIDIA GPUs; and the test bed as gfx942, so that the rest
// of the kernel runs there.
//
// The lanes that share rows share the run, too: slot s of four has word s of each 16 weights. Every lane gets the sums
// of `own` rows of weights, those that it has words of, with `columns` rows of activations.
#pragma once
#include "memory.h"
#if defined(TW_NVIDIA)
#include "nvidia-mma.h"
#endif

namespace tw {

/// Sums start as `start`, a float with room for 2^22 in its mantissa: what is added to the integer is added to the
/// float. So scale * sum is one multiply-add with -scale * offset, which is exact for scales of at most 22 bits.
struct TileSums {
  enum : u32 { tile_rows = 16 };
  static constexpr i32 start = 0x4b400000;
  static constexpr float offset = 12582912.0f;
};

/// Where 16 bytes of a step's activations are in LDS: 20 of them of each of 8 rows, of which the first four are records
/// (q8.h). Their order in each row is such that 8 rows' are in different banks, as are two of one row and the next.
TW_DEVICE u32 tile_place(u32 column, u32 chunk) {
  return column * 320 + 16 * (chunk ^ (column / 2 % 4));
}

#if defined(TW_NVIDIA)
#define TW_TILE_MMA 1
/// mma.m16n8k32 and m16n8k16: lane / 4 has two rows of weights, lane % 4 is the slot, and slot s has the sums of
/// columns 2s and 2s + 1.
struct TileMma : TileSums {
  enum : u32 { rows = 8, own = 2, slots = 4, columns = 2 };
  typedef __attribute__((address_space(3))) void* Shared;
  typedef const __attribute__((address_space(1))) void* Device;
  static TW_MEMBER u32 row(u32 lane) { return lane / 4; }
  static TW_MEMBER u32 slot(u32 lane) { return lane % 4; }
  static TW_MEMBER u32 column(u32 lane, u32 j) { return lane % 4 * 2 + j; }
  /// Of which column a lane has words of the operand.
  static TW_MEMBER u32 operand_column(u32 lane) { return lane / 4; }
  /// Lanes that copy of one row, and of which row and which of their 16 bytes each.
  enum : u32 { copiers = 8 };
  static TW_MEMBER u32 copied_row(u32 lane) { return lane / 8; }
  static TW_MEMBER u32 copied_slot(u32 lane) { return lane % 8; }

  /// 16 bytes from device to shared memory; after wait<N>() all but the last N groups of them are there.
  static TW_MEMBER void copy(u8* to, const u8* from) { __nvvm_cp_async_ca_shared_global_16((Shared)to, (Device)from); }
  /// 16 bytes, which are read once and so kept out of the first cache. The first `before` may lie in front of the
  /// buffer, and those from `bytes` on behind it, but not of its allocation: that is whole pieces of 256. With `Zeros`,
  /// those from `bytes` on become zeros.
  template <bool Zeros>
  static TW_MEMBER void stream(u8* to, const u8* from, u32 /*before*/, u32 bytes) {
    if (Zeros) {
      __nvvm_cp_async_cg_shared_global_16((Shared)to, (Device)from, bytes);
    } else {
      __nvvm_cp_async_cg_shared_global_16((Shared)to, (Device)from);
    }
  }
  static TW_MEMBER void commit() { __nvvm_cp_async_commit_group(); }
  template <u32 N>
  static TW_MEMBER void wait() {
    __nvvm_cp_async_wait_group(N);
  }
  static TW_MEMBER void wave_barrier() { __nvvm_bar_warp_sync(~0u); }

  /// This lane's words of the runs of 16 of a quarter of the step: of two neighbours among the first runs of all parts,
  /// and of the second ones.
  static TW_MEMBER u32x4 activations(const u8* staged, u32 lane, u32 quarter) {
    const u32 matrix = lane / 8;
    const u32 at = tile_place(lane % 8, 4 + 8 * (matrix / 2) + 2 * (quarter % 2) + matrix % 2);
    u32x4 words;
    // Says nothing of memory, so that other words that were loaded stay known.
    __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                     : "r"(shared_address(staged + at + 64 * (quarter / 2))));
    return words;
  }

  /// sums[s][j] = start + two words of row s in all slots times such words, x and y, of column j.
  static TW_MEMBER void multiply(const u32 (&w)[own][2], u32 x, u32 y, i32 (&sums)[own][columns]) {
    __asm__(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%10, %10, %10, %10};"
        : "=r"(sums[0][0]), "=r"(sums[0][1]), "=r"(sums[1][0]), "=r"(sums[1][1])
        : "r"(w[0][0]), "r"(w[1][0]), "r"(w[0][1]), "r"(w[1][1]), "r"(x), "r"(y), "r"(start));
  }
  /// And without a start, added to what is there.
  static TW_MEMBER void multiply_more(const u32 (&w)[own][2], u32 x, u32 y, i32 (&sums)[own][columns]) {
    __asm__(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(sums[0][0]), "+r"(sums[0][1]), "+r"(sums[1][0]), "+r"(sums[1][1])
        : "r"(w[0][0]), "r"(w[1][0]), "r"(w[0][1]), "r"(w[1][1]), "r"(x), "r"(y));
  }
  /// The same with word `half` alone.
  static TW_MEMBER void multiply_half(const u32 (&w)[own][2], u32 half, u32 x, i32 (&sums)[own][columns]) {
    __asm__(
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, "
        "{%7, %7, %7, %7};"
        : "=r"(sums[0][0]), "=r"(sums[0][1]), "=r"(sums[1][0]), "=r"(sums[1][1])
        : "r"(w[0][half]), "r"(w[1][half]), "r"(x), "r"(start));
  }
  /// sums[s][j] += two pairs of bfloat16 of row s in all slots times such pairs of column j.
  static TW_MEMBER void multiply_mins(const u32 (&m)[own][2], const u32 (&x)[2], float (&sums)[own][columns]) {
    __asm__(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0][0]), "+f"(sums[0][1]), "+f"(sums[1][0]), "+f"(sums[1][1])
        : "r"(m[0][0]), "r"(m[1][0]), "r"(m[0][1]), "r"(m[1][1]), "r"(x[0]), "r"(x[1]));
  }
};
#elif defined(__SIMT__) && defined(__gfx942__)
#define TW_TILE_MMA 1
/// mfma_i32_16x16x32: lane % 16 has a row of weights, lane / 16 is the slot, and slot s has the sums of columns 4s to
/// 4s + 3, of which the last eight do not exist.
struct TileMma : TileSums {
  enum : u32 { rows = 16, own = 1, slots = 4, columns = 4 };
  static TW_MEMBER u32 row(u32 lane) { return lane % 16; }
  static TW_MEMBER u32 slot(u32 lane) { return lane / 16; }
  static TW_MEMBER u32 column(u32 lane, u32 j) { return lane / 16 * 4 + j; }
  static TW_MEMBER u32 operand_column(u32 lane) { return lane % 8; }
  enum : u32 { copiers = 4 };
  static TW_MEMBER u32 copied_row(u32 lane) { return row(lane); }
  static TW_MEMBER u32 copied_slot(u32 lane) { return slot(lane); }

  static TW_MEMBER void copy(u8* to, const u8* from) { *(u32x4*)to = *(const u32x4*)from; }
  template <bool Zeros>
  static TW_MEMBER void stream(u8* to, const u8* from, u32 before, u32 bytes) {
    if (before == 0 && bytes == 16) return copy(to, from);
    for (u32 i = 0; i < 16; i++) to[i] = i >= before && i < bytes ? from[i] : 0;
  }
  static TW_MEMBER void commit() {}
  template <u32 N>
  static TW_MEMBER void wait() {}
  static TW_MEMBER void wave_barrier() { __builtin_amdgcn_wave_barrier(); }

  static TW_MEMBER u32x4 activations(const u8* staged, u32 lane, u32 quarter) {
    u32x4 words;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      words[i] = *(const u32*)(staged + tile_place(lane % 8, 4 + 2 * quarter + 8 * (i / 2) + i % 2) + 4 * slot(lane));
    }
    return words;
  }

  static TW_MEMBER void multiply(const u32 (&w)[own][2], u32 x, u32 y, i32 (&sums)[own][columns]) {
    TW_UNROLL for (u32 j = 0; j < columns; j++) sums[0][j] = start;
    multiply_more(w, x, y, sums);
  }
  static TW_MEMBER void multiply_more(const u32 (&w)[own][2], u32 x, u32 y, i32 (&sums)[own][columns]) {
    typedef i32 i32x4 __attribute__((ext_vector_type(4)));
    i32x4 c = {sums[0][0], sums[0][1], sums[0][2], sums[0][3]};
    c = __builtin_amdgcn_mfma_i32_16x16x32_i8(long(u64(y) << 32 | x), long(u64(w[0][1]) << 32 | w[0][0]), c, 0, 0, 0);
    TW_UNROLL for (u32 j = 0; j < columns; j++) sums[0][j] = c[j];
  }
  static TW_MEMBER void multiply_half(const u32 (&w)[own][2], u32 half, u32 x, i32 (&sums)[own][columns]) {
    const u32 word[own][2] = {{w[0][half], 0}};
    multiply(word, x, 0, sums);
  }
  static TW_MEMBER void multiply_mins(const u32 (&m)[own][2], const u32 (&x)[2], float (&sums)[own][columns]) {
    typedef short i16x4 __attribute__((ext_vector_type(4)));
    f32x4 c = {sums[0][0], sums[0][1], sums[0][2], sums[0][3]};
    c = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(bits_as<i16x4>(u32x2{x[0], x[1]}),
                                                  bits_as<i16x4>(u32x2{m[0][0], m[0][1]}), c, 0, 0, 0);
    TW_UNROLL for (u32 j = 0; j < columns; j++) sums[0][j] = c[j];
  }
};
#endif

}  // namespace tw
