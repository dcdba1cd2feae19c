// Matrix instructions on 16-bit floats with f32 sums: 16 x 16 tiles, 16 along k, from rows in LDS. TW_MMA_F16 and
// TW_MMA_BF16 tell which the target has. Where a lane's share of k lies is the same for both sides, and so does not
// matter.
//
// TW_MMA_OWN: no two lanes need the same numbers, so that a lane may make those of its rows itself. It has `own_rows`
// rows of 16, own_row(lane, i), and one of `own_k` shares of k, own_part(lane); own_bf16 multiplies eight of that share
// along k, which are 16 bytes of each row. RDNA 3 has every number in two lanes.
#pragma once
#include "memory.h"
#if defined(TW_NVIDIA)
#include "nvidia-mma.h"
#endif

namespace tw {

/// 16 rows in LDS, `stride` bytes apart: where byte `at` of a row lies. Whatever else says so may take its place.
struct RowsApart {
  const u8* base;
  u32 stride;
  TW_MEMBER const u8* operator()(u32 row, u32 at) const { return base + row * stride + at; }
};

typedef float f32x8 __attribute__((ext_vector_type(8)));
typedef _Float16 f16x4 __attribute__((ext_vector_type(4)));
typedef _Float16 f16x8 __attribute__((ext_vector_type(8)));
typedef _Float16 f16x16 __attribute__((ext_vector_type(16)));
typedef short i16x4 __attribute__((ext_vector_type(4)));
typedef short i16x8 __attribute__((ext_vector_type(8)));
typedef short i16x16 __attribute__((ext_vector_type(16)));

#if defined(TW_AMD) && defined(__GFX11__) && TW_WAVE == 32
#define TW_MMA_F16 1
#define TW_MMA_BF16 1
/// RDNA 3 wants both halves of a wave to hold whole rows.
struct Mma16 {
  enum : u32 { sums = 8 };
  struct Operand {
    u32x4 low, high;
  };
  typedef f32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 2 * i + lane / 16; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  template <class Rows>
  static TW_MEMBER Operand load_a(const Rows& rows, u32 lane) {
    return {*(const u32x4*)rows(lane % 16, 0), *(const u32x4*)rows(lane % 16, 16)};
  }
  template <class Rows>
  static TW_MEMBER Operand load_b(const Rows& rows, u32 lane) {
    return load_a(rows, lane);
  }
  static TW_MEMBER Sums f16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(bits_as<f16x16>(a), bits_as<f16x16>(b), c);
  }
  static TW_MEMBER Sums bf16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(bits_as<i16x16>(a), bits_as<i16x16>(b), c);
  }
};
#elif defined(TW_AMD) && defined(__GFX12__) && TW_WAVE == 32
#define TW_MMA_F16 1
#define TW_MMA_BF16 1
struct Mma16 {
  enum : u32 { sums = 8 };
  typedef u32x4 Operand;
  typedef f32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 8 * (lane / 16) + i; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  template <class Rows>
  static TW_MEMBER Operand load_a(const Rows& rows, u32 lane) {
    return *(const Operand*)rows(lane % 16, lane / 16 * 16);
  }
  template <class Rows>
  static TW_MEMBER Operand load_b(const Rows& rows, u32 lane) {
    return load_a(rows, lane);
  }
  static TW_MEMBER Sums f16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(bits_as<f16x8>(a), bits_as<f16x8>(b), c);
  }
  static TW_MEMBER Sums bf16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12(bits_as<i16x8>(a), bits_as<i16x8>(b), c);
  }
#define TW_MMA_OWN 1
  enum : u32 { own_rows = 1, own_k = 2 };
  static TW_MEMBER u32 own_row(u32 lane, u32) {
    return lane % 16;
  }
  static TW_MEMBER u32x4 load_vector(const u8* at) {
    return *(const u32x4*)at;
  }
  static TW_MEMBER u32 own_part(u32 lane) {
    return lane / 16;
  }
  static TW_MEMBER Sums own_bf16(const u32x4 (&a)[own_rows], const u32x4 (&b)[own_rows], Sums c) {
    return bf16(a[0], b[0], c);
  }
};
#elif defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__)
#define TW_MMA_F16 1
#if !defined(__gfx908__)
#define TW_MMA_BF16 1  // CDNA 1 multiplies bfloats two by two only
#endif
struct Mma16 {
  enum : u32 { sums = 4 };
  typedef u32x2 Operand;
  typedef f32x4 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return 4 * (lane / 16) + i; }
  static TW_MEMBER u32 column(u32 lane, u32) { return lane % 16; }
  template <class Rows>
  static TW_MEMBER Operand load_a(const Rows& rows, u32 lane) {
    return *(const Operand*)rows(lane % 16, lane / 16 * 8);
  }
  template <class Rows>
  static TW_MEMBER Operand load_b(const Rows& rows, u32 lane) {
    return load_a(rows, lane);
  }
  static TW_MEMBER Sums f16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_mfma_f32_16x16x16f16(bits_as<f16x4>(a), bits_as<f16x4>(b), c, 0, 0, 0);
  }
#if defined(TW_MMA_BF16)
  static TW_MEMBER Sums bf16(Operand a, Operand b, Sums c) {
    return __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(bits_as<i16x4>(a), bits_as<i16x4>(b), c, 0, 0, 0);
  }
#define TW_MMA_OWN 1
  enum : u32 { own_rows = 1, own_k = 4 };
  static TW_MEMBER u32 own_row(u32 lane, u32) {
    return lane % 16;
  }
  static TW_MEMBER u32x4 load_vector(const u8* at) {
    return *(const u32x4*)at;
  }
  static TW_MEMBER u32 own_part(u32 lane) {
    return lane / 16;
  }
  static TW_MEMBER Sums own_bf16(const u32x4 (&a)[own_rows], const u32x4 (&b)[own_rows], Sums c) {
    return bf16({a[0].z, a[0].w}, {b[0].z, b[0].w}, bf16({a[0].x, a[0].y}, {b[0].x, b[0].y}, c));
  }
#endif
};
#elif defined(TW_NVIDIA)
#define TW_MMA_F16 1
#define TW_MMA_BF16 1
/// Two mma.m16n8k16: sums 0..3 are columns 0..7 of the tile, 4..7 the others.
struct Mma16 {
  enum : u32 { sums = 8 };
  typedef u32x4 Operand;
  typedef f32x8 Sums;
  static TW_MEMBER u32 row(u32 lane, u32 i) { return lane / 4 + 8 * (i / 2 % 2); }
  static TW_MEMBER u32 column(u32 lane, u32 i) { return 8 * (i / 4) + lane % 4 * 2 + i % 2; }
  /// Words 0, 1: rows 0..7 and 8..15 of the first 8 along k; 2, 3: of the others.
  /// Both operands as pairs of registers that lie side by side, as the instruction wants them: `a` has rows 0..7, 8..15
  /// of the first 8 along k, then of the others; `b` the first 8 and the others of rows 0..7, then of rows 8..15.
  template <class Rows>
  static TW_MEMBER Operand load_a(const Rows& rows, u32 lane) {
    return load_matrices(rows(lane % 16, lane / 16 * 16));
  }
  template <class Rows>
  static TW_MEMBER Operand load_b(const Rows& rows, u32 lane) {
    return load_matrices(rows(lane % 8 + lane / 16 * 8, lane / 8 % 2 * 16));
  }
#define TW_MMA(name, type)                                                                 \
  static TW_MEMBER Sums name(const Operand& a, const Operand& b, Sums c) {                 \
    TW_UNROLL for (u32 n = 0; n < 2; n++) {                                                \
      __asm__("mma.sync.aligned.m16n8k16.row.col.f32." type "." type                       \
              ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"       \
              : "+f"(c[4 * n]), "+f"(c[4 * n + 1]), "+f"(c[4 * n + 2]), "+f"(c[4 * n + 3]) \
              : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b[2 * n]), "r"(b[2 * n + 1])); \
    }                                                                                      \
    return c;                                                                              \
  }
  TW_MMA(f16, "f16")
  TW_MMA(bf16, "bf16")
#undef TW_MMA
#define TW_MMA_OWN 1
  enum : u32 { own_rows = 2, own_k = 4 };
  static TW_MEMBER u32 own_row(u32 lane, u32 i) {
    return lane / 4 + 8 * i;
  }
  static TW_MEMBER u32x4 load_vector(const u8* at) {
    return tw::load_vector(at);
  }
  static TW_MEMBER u32 own_part(u32 lane) {
    return lane % 4;
  }
  static TW_MEMBER Sums own_bf16(const u32x4 (&a)[own_rows], const u32x4 (&b)[own_rows], Sums c) {
    c = bf16({a[0].x, a[1].x, a[0].y, a[1].y}, {b[0].x, b[0].y, b[1].x, b[1].y}, c);
    return bf16({a[0].z, a[1].z, a[0].w, a[1].w}, {b[0].z, b[0].w, b[1].z, b[1].w}, c);
  }
};
#endif

}  // namespace tw
