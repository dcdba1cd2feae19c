// Q4_K and Q5_K: super-blocks of 256 in sub-blocks of 32, w = d * sc * q - dmin * m. A word of codes holds four weights
// of one sub-block in its low nibbles and four of the next in its high ones, so a part is 16 weights of each.
#pragma once
#include "format.h"

namespace tw {

/// d, dmin, then 12 bytes with 6-bit scales and mins: sub-blocks 4..7 keep their low nibbles in the last word and their
/// top bits in the others. Scales and mins of sub-blocks 2i and 2i + 1, i = part / 2: what depends on the lane alone is
/// left to the compiler to move out of the loop.
TW_DEVICE void k4_scales(u32x4 head, u32 part, float scale[2], float min[2]) {
  const bool late = part >= 4;
  const u32 shift = part / 2 % 2 * 16;
  const u32 top = shift + (late ? 2 : 0);
  const u32 scales = ((late ? head.w : head.y) >> shift & 0x0f0fu) | (head.y >> top & 0x3030u);
  const u32 mins = ((late ? head.w >> 4 : head.z) >> shift & 0x0f0fu) | (head.z >> top & 0x3030u);
  const float d = from_f16(head.x & 0xffffu);
  const float dmin = from_f16(head.x >> 16);
  scale[0] = d * float(scales & 0xffu);
  scale[1] = d * float(scales >> 8 & 0xffu);
  min[0] = dmin * float(mins & 0xffu);
  min[1] = dmin * float(mins >> 8 & 0xffu);
}

struct Q4_K {
  enum : u32 { block = 256, bytes = 144, align = 16, parts = 8 };
  enum : bool { has_min = true, one_scale = false };
  static TW_MEMBER u32 run(u32 part, u32 i) { return 64 * (part / 2) + 32 * i + 16 * (part % 2); }
  struct Raw {
    u32x4 head, codes;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<16>(row, block), load_u128<16>(row, block + 16 * part + 16)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    k4_scales(raw.head, part, scale, min);
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      codes[i] = raw.codes[i] & 0x0f0f0f0fu;
      codes[i + 4] = raw.codes[i] >> 4 & 0x0f0f0f0fu;
    }
  }
};

/// The fifth bits stand in a plane of 32 bytes, bit s of byte l for weight l of sub-block s.
struct Q5_K {
  enum : u32 { block = 256, bytes = 176, align = 16, parts = 8 };
  enum : bool { has_min = true, one_scale = false };
  static TW_MEMBER u32 run(u32 part, u32 i) { return Q4_K::run(part, i); }
  struct Raw {
    u32x4 head, plane, codes;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<16>(row, block), load_u128<16>(row, block + 16 * (part % 2) + 16),
            load_u128<16>(row, block + 16 * part + 48)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    k4_scales(raw.head, part, scale, min);
    // A rotation that brings the pair of bits of this part to bits 4 and 5.
    const u32 turn = (part / 2 * 2 + 28) % 32;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 fifth = funnel_right(raw.plane[i], raw.plane[i], turn);
      codes[i] = bit_select(0x0f0f0f0fu, raw.codes[i], fifth) & 0x1f1f1f1fu;
      codes[i + 4] = bit_select(0x0f0f0f0fu, raw.codes[i] >> 4, fifth >> 1) & 0x1f1f1f1fu;
    }
  }
};

}  // namespace tw
