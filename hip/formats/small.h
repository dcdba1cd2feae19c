// Formats with blocks of 32, of one scale each: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. A part is a block: the low nibbles are
// its first 16 weights. An offset in the middle of the codes' range (Q4_0, Q5_0) is no min, see format.h.
#pragma once
#include "format.h"

namespace tw {

TW_DEVICE void small_nibbles(u32x4 nibbles, u32 codes[8]) {
  TW_UNROLL for (u32 i = 0; i < 4; i++) {
    codes[i] = nibbles[i] & 0x0f0f0f0fu;
    codes[i + 4] = nibbles[i] >> 4 & 0x0f0f0f0fu;
  }
}
/// Adds bit j of `plane` to code j as its bit `at`. The product puts bits 0..3 of a nibble into the lowest bits of four
/// bytes.
TW_DEVICE void small_fifths(u32 plane, u32 at, u32 codes[8]) {
  TW_UNROLL for (u32 i = 0; i < 8; i++) {
    codes[i] |= ((plane >> 4 * i & 0xfu) * 0x204081u & 0x01010101u) << at;
  }
}

struct Q4_0 : ScaledNibbles {
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 word = raw.nibbles[i] ^ 0x88888888u;
      codes[i] = word << 4 & 0xf0f0f0f0u;
      codes[i + 4] = word & 0xf0f0f0f0u;
    }
    scale_both(0.0625f * from_f16(raw.d), 0.0f, scale, min);
  }
};

struct Q4_1 : SmallBlock<20, true> {
  struct Raw {
    u32x4 nibbles;
    u32 head;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<4>(row + 4, block), load_u32<4>(row, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    small_nibbles(raw.nibbles, codes);
    scale_both(from_f16(raw.head & 0xffffu), -from_f16(raw.head >> 16), scale, min);
  }
};

struct Q5_0 : SmallBlock<22, false> {
  struct Raw {
    u32x4 nibbles;
    u32 plane, d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<2>(row + 6, block), load_u32<2>(row + 2, block), load_u16<2>(row, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      codes[i] = raw.nibbles[i] << 3 & 0x78787878u;
      codes[i + 4] = raw.nibbles[i] >> 1 & 0x78787878u;
    }
    small_fifths(~raw.plane, 7, codes);
    scale_both(0.125f * from_f16(raw.d), 0.0f, scale, min);
  }
};

struct Q5_1 : SmallBlock<24, true> {
  struct Raw {
    u32x4 nibbles;
    u32x2 head;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<8>(row + 8, block), load_u64<8>(row, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    small_nibbles(raw.nibbles, codes);
    small_fifths(raw.head.y, 4, codes);
    scale_both(from_f16(raw.head.x & 0xffffu), -from_f16(raw.head.x >> 16), scale, min);
  }
};

struct Q8_0 : SmallBlock<34, false> {
  struct Raw {
    u32x4 first, second;
    u32 d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<2>(row + 2, block), load_u128<2>(row + 18, block), load_u16<2>(row, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      codes[i] = raw.first[i];
      codes[i + 4] = raw.second[i];
    }
    scale_both(from_f16(raw.d), 0.0f, scale, min);
  }
};

}  // namespace tw
