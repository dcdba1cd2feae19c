// Q4_K and Q5_K: super-blocks of 256 in sub-blocks of 32, w = d * sc * q - dmin * m. A word of codes holds four weights
// of one sub-block in its low nibbles and four of the next in its high ones, so a part is 16 weights of each.
#pragma once
#include "format.h"

namespace tw {

/// d, dmin, then 12 bytes with 6-bit scales and mins: sub-blocks 4..7 keep their low nibbles in the last word and their
/// top bits in the others. Gives scales and mins of sub-blocks 2i and 2i + 1, i = part / 2: one byte permutation
/// gathers the low nibbles' bytes and the top bits' bytes of both. What depends on the lane alone the compiler moves
/// out of the loop.
TW_DEVICE void k4_scales(u32x4 head, u32 part, float scale[2], float min[2]) {
  const u32 late = part / 4;
  const u32 top = part / 2 % 2 * 2;
  const u32 bytes = (0x01000100u + 0x0404u * late) + 0x01010101u * top;
  const u32 scales = permute_bytes(head.y, head.w, bytes);
  const u32 mins = permute_bytes(head.z, head.w, bytes);
  const u32 six_scales = (scales & 0x0f0fu) | (scales >> (16 + 2 * late) & 0x3030u);
  const u32 six_mins = (mins >> 4 * late & 0x0f0fu) | (mins >> (16 + 2 * late) & 0x3030u);
  scale[0] = times_f16(float(six_scales & 0xffu), head.x & 0xffffu);
  scale[1] = times_f16(float(six_scales >> 8 & 0xffu), head.x & 0xffffu);
  min[0] = times_f16(float(six_mins & 0xffu), head.x >> 16);
  min[1] = times_f16(float(six_mins >> 8 & 0xffu), head.x >> 16);
}

/// The scale and min of one sub-block.
TW_DEVICE void k4_scale(u32x4 head, u32 sub, float& scale, float& min) {
  const u32 late = sub / 4, top = 8 + 2 * late;
  const u32 bytes = sub % 4 * 0x0101u + 4 * late;
  const u32 scales = permute_bytes(head.y, head.w, bytes);
  const u32 mins = permute_bytes(head.z, head.w, bytes);
  const u32 six_scale = (scales & 15u) | (scales >> top & 0x30u);
  const u32 six_min = (mins >> 4 * late & 15u) | (mins >> top & 0x30u);
  scale = times_f16(float(six_scale & 0xffu), head.x & 0xffffu);
  min = times_f16(float(six_min & 0xffu), head.x >> 16);
}

struct Q4_K {
  enum : u32 { block = 256, bytes = 144, align = 16, parts = 8, step = 32 };
  enum : bool { has_min = true, one_scale = false };
  static TW_MEMBER u32 run(u32 part) { return 64 * (part / 2) + 16 * (part % 2); }
  struct Raw {
    u32x4 head, codes;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<16>(row, block), load_u128<16>(row + 16, block + 16 * part)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    k4_scales(raw.head, part, scale, min);
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      codes[i] = raw.codes[i] & 0x0f0f0f0fu;
      codes[i + 4] = raw.codes[i] >> 4 & 0x0f0f0f0fu;
    }
  }
  typedef Raw RawRun;
  static TW_MEMBER Raw load_run(const u8* row, u32 block, u32 part, u32) { return load(row, block, part); }
  static TW_MEMBER void decode_run(const Raw& raw, u32 part, u32 second, u32 codes[4], float& scale, float& min) {
    k4_scale(raw.head, part / 2 * 2 + second, scale, min);
    TW_UNROLL for (u32 i = 0; i < 4; i++) codes[i] = raw.codes[i] >> 4 * second & 0x0f0f0f0fu;
  }
};

/// The fifth bits stand in a plane of 32 bytes, bit s of byte l for weight l of sub-block s.
struct Q5_K {
  enum : u32 { block = 256, bytes = 176, align = 16, parts = 8, step = 32 };
  enum : bool { has_min = true, one_scale = false };
  static TW_MEMBER u32 run(u32 part) { return Q4_K::run(part); }
  struct Raw {
    u32x4 head, plane, codes;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<16>(row, block), load_u128<16>(row + 16, block + 16 * (part % 2)),
            load_u128<16>(row + 48, block + 16 * part)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    k4_scales(raw.head, part, scale, min);
    // A rotation that brings the pair of bits of this part to bits 4 and 5.
    const u32 turn = part / 2 * 2 + 28;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 fifth = rotate_right(raw.plane[i], turn);
      codes[i] = bit_select(0x0f0f0f0fu, raw.codes[i], fifth) & 0x1f1f1f1fu;
      codes[i + 4] = bit_select(0x0f0f0f0fu, raw.codes[i] >> 4, fifth >> 1) & 0x1f1f1f1fu;
    }
  }
  typedef Raw RawRun;
  static TW_MEMBER Raw load_run(const u8* row, u32 block, u32 part, u32) { return load(row, block, part); }
  static TW_MEMBER void decode_run(const Raw& raw, u32 part, u32 second, u32 codes[4], float& scale, float& min) {
    const u32 sub = part / 2 * 2 + second;
    k4_scale(raw.head, sub, scale, min);
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 fifth = rotate_right(raw.plane[i], sub + 28);
      codes[i] = bit_select(0x0f0f0f0fu, raw.codes[i] >> 4 * second, fifth) & 0x1f1f1f1fu;
    }
  }
};

}  // namespace tw
