// Matrix instructions on signed bytes: 16 x 16 tiles of sums. `a` and `b` are 16 rows each of 32 codes, the sums of one
// lane have rows of `a` in row() and rows of `b` in column(). TW_MMA_I8 tells that the target has them. The order of k
// within a group of 16 is left to the hardware: it is the same for both sides.
#pragma once
#include "memory.h"

namespace tw {

typedef i32 i32x4 __attribute__((ext_vector_type(4)));
typedef i32 i32x8 __attribute__((ext_vector_type(8)));
typedef i32 i32x2 __attribute__((ext_vector_type(2)));

#if defined(TW_AMD) && defined(__GFX11__) && TW_WAVE == 32
#define TW_MMA_I8 1
/// RDNA 3 wants both halves of a wave to hold whole rows.
struct MmaI8 {
  enum : u32 { sums = 8 };
  struct Operand {
    i32x4 half[2];
  };
  typedef i32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 2 * i + lane / 16; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  static TW_MEMBER Operand load_a(const u8* rows, u32 stride, u32 lane) {
    const i32x4* from = (const i32x4*)(rows + lane % 16 * stride);
    return {from[0], from[1]};
  }
  static TW_MEMBER Operand load_b(const u8* rows, u32 stride, u32 lane) { return load_a(rows, stride, lane); }
  static TW_MEMBER Sums half(const Operand& a, const Operand& b, u32 h) {
    return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.half[h], true, b.half[h], Sums(0), false);
  }
  static TW_MEMBER Sums whole(const Operand& a, const Operand& b) {
    return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, a.half[1], true, b.half[1], half(a, b, 0), false);
  }
};
#elif defined(TW_AMD) && defined(__GFX12__) && TW_WAVE == 32
#define TW_MMA_I8 1
/// RDNA 4: each half of a wave holds half of k, and eight rows of the sums.
struct MmaI8 {
  enum : u32 { sums = 8 };
  struct Operand {
    i32x2 half[2];
  };
  typedef i32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 8 * (lane / 16) + i; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  static TW_MEMBER Operand load_a(const u8* rows, u32 stride, u32 lane) {
    const i32x2* from = (const i32x2*)(rows + lane % 16 * stride + lane / 16 * 8);
    return {from[0], from[2]};
  }
  static TW_MEMBER Operand load_b(const u8* rows, u32 stride, u32 lane) { return load_a(rows, stride, lane); }
  static TW_MEMBER Sums half(const Operand& a, const Operand& b, u32 h) {
    return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.half[h], true, b.half[h], Sums(0), false);
  }
  static TW_MEMBER Sums whole(const Operand& a, const Operand& b) {
    return __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12(true, a.half[1], true, b.half[1], half(a, b, 0), false);
  }
};
#elif defined(__gfx942__)
#define TW_MMA_I8 1
/// CDNA 3 multiplies 32 along k at once; for 16 the other half of the lanes holds zeros.
struct MmaI8 {
  enum : u32 { sums = 4 };
  typedef long Operand;
  typedef i32x4 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 4 * (lane / 16) + i; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  static TW_MEMBER Operand load_a(const u8* rows, u32 stride, u32 lane) {
    return *(const Operand*)(rows + lane % 16 * stride + lane / 16 * 8);
  }
  static TW_MEMBER Operand load_b(const u8* rows, u32 stride, u32 lane) { return load_a(rows, stride, lane); }
  static TW_MEMBER Sums half(const Operand& a, const Operand& b, u32 h) {
    return whole(a, lane_id() / 32 == h ? b : 0);
  }
  static TW_MEMBER Sums whole(const Operand& a, const Operand& b) {
    return __builtin_amdgcn_mfma_i32_16x16x32_i8(a, b, Sums(0), 0, 0, 0);
  }
};
#elif defined(__gfx908__) || defined(__gfx90a__)
#define TW_MMA_I8 1
struct MmaI8 {
  enum : u32 { sums = 4 };
  struct Operand {
    i32 half[2];
  };
  typedef i32x4 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 4 * (lane / 16) + i; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  static TW_MEMBER Operand load_a(const u8* rows, u32 stride, u32 lane) {
    const i32* from = (const i32*)(rows + lane % 16 * stride + lane / 16 * 4);
    return {from[0], from[4]};
  }
  static TW_MEMBER Operand load_b(const u8* rows, u32 stride, u32 lane) { return load_a(rows, stride, lane); }
  static TW_MEMBER Sums half(const Operand& a, const Operand& b, u32 h) {
    return __builtin_amdgcn_mfma_i32_16x16x16i8(a.half[h], b.half[h], Sums(0), 0, 0, 0);
  }
  static TW_MEMBER Sums whole(const Operand& a, const Operand& b) {
    return __builtin_amdgcn_mfma_i32_16x16x16i8(a.half[1], b.half[1], half(a, b, 0), 0, 0, 0);
  }
};
#elif defined(TW_NVIDIA)
#define TW_MMA_I8 1
/// mma.m16n8k32 (k16 for a half): sums 0..3 are columns 0..7 of the tile, 4..7 the others. PTX names the registers; no
/// builtin of clang 19 does.
struct MmaI8 {
  enum : u32 { sums = 8 };
  struct Operand {
    u32 word[4];
  };
  typedef i32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return lane / 4 + 8 * (i / 2 % 2); }
  static TW_MEMBER u32 column(u32 lane, u32 i) { return 8 * (i / 4) + lane % 4 * 2 + i % 2; }
  /// Words 0, 1: rows 0..7 and 8..15 of the first 16 along k; 2, 3: of the others.
  static TW_MEMBER Operand load_a(const u8* rows, u32 stride, u32 lane) {
    const u8* from = rows + lane / 4 * stride + lane % 4 * 4;
    return {*(const u32*)from, *(const u32*)(from + 8 * stride), *(const u32*)(from + 16),
            *(const u32*)(from + 8 * stride + 16)};
  }
  static TW_MEMBER Operand load_b(const u8* rows, u32 stride, u32 lane) { return load_a(rows, stride, lane); }
  static TW_MEMBER Sums half(const Operand& a, const Operand& b, u32 h) {
    Sums c;
    TW_UNROLL for (u32 n = 0; n < 2; n++) {
      __asm__("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
              : "=r"(c[4 * n]), "=r"(c[4 * n + 1]), "=r"(c[4 * n + 2]), "=r"(c[4 * n + 3])
              : "r"(a.word[2 * h]), "r"(a.word[2 * h + 1]), "r"(b.word[2 * h + n]), "r"(0));
    }
    return c;
  }
  static TW_MEMBER Sums whole(const Operand& a, const Operand& b) {
    Sums c;
    TW_UNROLL for (u32 n = 0; n < 2; n++) {
      __asm__(
          "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
          "{%10, %10, %10, %10};"
          : "=r"(c[4 * n]), "=r"(c[4 * n + 1]), "=r"(c[4 * n + 2]), "=r"(c[4 * n + 3])
          : "r"(a.word[0]), "r"(a.word[1]), "r"(a.word[2]), "r"(a.word[3]), "r"(b.word[n]), "r"(b.word[2 + n]), "r"(0));
    }
    return c;
  }
};
#endif

}  // namespace tw
