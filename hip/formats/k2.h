// Q2_K and Q3_K: 256 weights in sub-blocks of 16. Byte l of each 32 bytes of codes has the pairs of bits of four
// weights, l, l + 32, l + 64 and l + 96 of its half of the block; a part takes two neighbouring pairs, so that two
// parts load the same bytes.
#pragma once
#include "format.h"

namespace tw {

/// w = d * sc * q - dmin * m; a byte per sub-block holds sc and m, 4 bits each.
struct Q2_K {
  enum : u32 { block = 256, bytes = 84, align = 4, parts = 8, step = 32 };
  enum : bool { has_min = true, one_scale = false };
  static TW_MEMBER u32 run(u32 part) { return 64 * (part / 2) + 16 * (part % 2); }
  struct Raw {
    u32x4 codes;
    u32 scales, d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<4>(row + 16, block + 32 * (part / 4) + 16 * (part % 2)), load_u32<4>(row, block + 4 * (part / 2)),
            load_u32<4>(row + 80, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    const u32 both = raw.scales >> 8 * (part % 2);
    const u32 scales = both & 0x000f000fu, mins = both >> 4 & 0x000f000fu;
    scale[0] = times_f16(float(scales & 0xffu), raw.d & 0xffffu);
    scale[1] = times_f16(float(scales >> 16 & 0xffu), raw.d & 0xffffu);
    min[0] = times_f16(float(mins & 0xffu), raw.d >> 16);
    min[1] = times_f16(float(mins >> 16 & 0xffu), raw.d >> 16);
    const u32 pair = part / 2 % 2 * 4;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 word = raw.codes[i] >> pair;
      codes[i] = word & 0x03030303u;
      codes[i + 4] = word >> 2 & 0x03030303u;
    }
  }
  typedef Raw RawRun;
  static TW_MEMBER Raw load_run(const u8* row, u32 block, u32 part, u32) { return load(row, block, part); }
  static TW_MEMBER void decode_run(const Raw& raw, u32 part, u32 second, u32 codes[4], float& scale, float& min) {
    const u32 both = raw.scales >> (8 * (part % 2) + 16 * second);
    scale = times_f16(float(both & 15u), raw.d & 0xffffu);
    min = times_f16(float(both >> 4 & 15u), raw.d >> 16);
    const u32 pair = part / 2 % 2 * 4 + 2 * second;
    TW_UNROLL for (u32 i = 0; i < 4; i++) codes[i] = raw.codes[i] >> pair & 0x03030303u;
  }
};

/// w = d * (sc - 32) * (q - 4): the third bits stand in a plane of 32 bytes, bit s of byte l for weight l of the s-th
/// 32 weights; 6-bit scales, the low nibbles of 16 in 8 bytes and the top pairs in 4. Codes are 32 * (q - 4).
struct Q3_K {
  enum : u32 { block = 256, bytes = 110, align = 2, parts = 8, step = 32 };
  enum : bool { has_min = false, one_scale = false };
  static TW_MEMBER u32 run(u32 part) { return Q2_K::run(part); }
  struct Raw {
    u32x4 codes, plane;
    u32 low, top, d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<2>(row + 32, block + 32 * (part / 4) + 16 * (part % 2)),
            load_u128<2>(row, block + 16 * (part % 2)), load_u32<2>(row + 96, block + 4 * (part / 2 % 2)),
            load_u32<2>(row + 104, block), load_u16<2>(row + 108, block)};
  }
  static TW_MEMBER u32 join(u32 pairs, u32 inverted) { return (pairs & 0x60606060u) | (inverted & 0x80808080u); }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    const u32 i = part / 2, byte = 8 * (part % 2);
    const u32 six = (raw.low >> (byte + i / 2 * 4) & 0x000f000fu) | (raw.top >> (byte + 2 * i) & 0x00030003u) << 4;
    scale[0] = times_f16(float(six & 0xffu) * 0.03125f - 1.0f, raw.d);
    scale[1] = times_f16(float(six >> 16 & 0xffu) * 0.03125f - 1.0f, raw.d);
    min[0] = min[1] = 0.0f;
    TW_UNROLL for (u32 w = 0; w < 4; w++) {
      // Pairs and bits to the top of their bytes.
      const u32 pairs = rotate_right(raw.codes[w], i % 2 * 4 + 27), inverted = rotate_right(~raw.plane[w], 2 * i + 25);
      codes[w] = join(pairs, inverted);
      codes[w + 4] = join(rotate_right(pairs, 2), rotate_right(inverted, 1));
    }
  }
  typedef Raw RawRun;
  static TW_MEMBER Raw load_run(const u8* row, u32 block, u32 part, u32) { return load(row, block, part); }
  static TW_MEMBER void decode_run(const Raw& raw, u32 part, u32 second, u32 codes[4], float& scale, float& min) {
    const u32 i = part / 2, byte = 8 * (part % 2) + 16 * second;
    const u32 six = (raw.low >> (byte + i / 2 * 4) & 15u) | (raw.top >> (byte + 2 * i) & 3u) << 4;
    scale = times_f16(float(six) * 0.03125f - 1.0f, raw.d);
    min = 0.0f;
    TW_UNROLL for (u32 w = 0; w < 4; w++) {
      codes[w] = join(rotate_right(raw.codes[w], i % 2 * 4 + 2 * second + 27),
                      rotate_right(~raw.plane[w], 2 * i + second + 25));
    }
  }
};

}  // namespace tw
