// Matrix instructions on signed bytes: 16 x 16 tiles of sums. `a` and `b` are 16 rows each of 32 codes, the sums of one
// lane have rows of `a` in row() and rows of `b` in column(). TW_MMA_I8 tells that the target has them: CDNA 1, as
// targets that multiply matrices of bfloat16 have gemm_bf16.h instead. The order of k within a group of 16 is left to
// the hardware: it is the same for both sides.
#pragma once
#include "memory.h"

namespace tw {

typedef i32 i32x4 __attribute__((ext_vector_type(4)));

#if defined(__gfx908__)
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
#endif

}  // namespace tw
