// Formats whose codes are places in a table of 16 signed bytes: IQ4_NL, IQ4_XS, MXFP4. The table is four words; bytes
// are picked from it in registers.
#pragma once
#include "format.h"

namespace tw {

struct Table {
  u32 words[4];
};
constexpr u32 pack(int a, int b, int c, int d) {
  return u32(a & 255) | u32(b & 255) << 8 | u32(c & 255) << 16 | u32(d & 255) << 24;
}
struct Iq4 {
  static constexpr Table table = {
      {pack(-127, -104, -83, -65), pack(-49, -35, -22, -10), pack(1, 13, 25, 38), pack(53, 69, 89, 113)}};
};
/// Twice the e2m1 values, which are whole numbers.
struct E2m1 {
  static constexpr Table table = {{pack(0, 1, 2, 3), pack(4, 6, 8, 12), pack(0, -1, -2, -3), pack(-4, -6, -8, -12)}};
};

#if defined(TW_AMD)
/// Table entries of the low nibbles of four bytes.
template <class T>
TW_DEVICE u32 look_up(u32 x) {
  constexpr Table t = T::table;
  const u32 low = permute_bytes(t.words[0], t.words[1], x & 0x07070707u);
  const u32 high = permute_bytes(t.words[2], t.words[3], x & 0x07070707u);
  // Byte i of one or of the other, by bit 3.
  return permute_bytes(low, high, (x >> 1 & 0x04040404u) | 0x03020100u);
}
template <class T>
TW_DEVICE void look_up_nibbles(u32 word, u32& low, u32& high) {
  low = look_up<T>(word);
  high = look_up<T>(word >> 4);
}
#else
/// prmt takes nibbles as they are: table entries of four, and then low and high ones are sorted apart.
template <class T>
TW_DEVICE void look_up_nibbles(u32 word, u32& low, u32& high) {
  constexpr Table t = T::table;
  const u32 places = word & 0x77777777u;
  const u32 halves = (word >> 1 & 0x44444444u) | 0x32103210u;
  u32 entries[2];
  TW_UNROLL for (u32 i = 0; i < 2; i++) {
    const u32 first = __nvvm_prmt(t.words[0], t.words[1], places >> 16 * i);
    const u32 second = __nvvm_prmt(t.words[2], t.words[3], places >> 16 * i);
    entries[i] = __nvvm_prmt(first, second, halves >> 16 * i);
  }
  low = __nvvm_prmt(entries[0], entries[1], 0x6420);
  high = __nvvm_prmt(entries[0], entries[1], 0x7531);
}
#endif

#if defined(TW_NVIDIA)
struct Halves {
  u32 low[2], high[2];
};
/// prmt gives the sign of the byte (0 or -1) where the selector's fourth bit is set.
constexpr int entry(const Table& t, u32 i) {
  return int(t.words[i / 4] << 8 * (3 - i % 4)) >> 24;
}
constexpr Halves halves(const Table& t) {
  Halves h = {};
  for (u32 i = 0; i < 8; i++) {
    const int high = entry(t, i + 8) + (entry(t, i) < 0), low = entry(t, i) + (high < 0);
    h.low[i / 4] |= u32(low & 255) << 8 * (i % 4);
    h.high[i / 4] |= u32(high & 255) << 8 * (i % 4);
  }
  return h;
}
#endif

struct IQ4_NL : ScaledNibbles {
  typedef Iq4 Entries;
  static TW_MEMBER float scale(const Raw& raw, u32) { return from_f16(raw.d); }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) look_up_nibbles<Iq4>(raw.nibbles[i], codes[i], codes[i + 4]);
    scale_both(IQ4_NL::scale(raw, 0), 0.0f, scale, min);
  }
};

/// 256 weights in 8 sub-blocks of 32: w = d * (sc - 32) * table[q]; the low nibbles of the scales stand in one word,
/// the top pairs in a half.
struct IQ4_XS {
  enum : u32 { block = 256, bytes = 136, align = 8, parts = 8, step = 16 };
  enum : bool { has_min = false, one_scale = true };
  static TW_MEMBER u32 run(u32 part) { return 32 * part; }
  struct Raw {
    u32x4 nibbles;
    u32x2 head;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<8>(row + 8, block + 16 * part), load_u64<8>(row, block)};
  }
  typedef Iq4 Entries;
  static TW_MEMBER float scale(const Raw& raw, u32 part) {
    const u32 six = (raw.head.y >> 4 * part & 15u) | (raw.head.x >> (16 + 2 * part) & 3u) << 4;
    return times_f16(float(i32(six) - 32), raw.head.x & 0xffffu);
  }
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) look_up_nibbles<Iq4>(raw.nibbles[i], codes[i], codes[i + 4]);
    scale_both(IQ4_XS::scale(raw, part), 0.0f, scale, min);
  }
};

TW_DEVICE float mxfp4_scale(u32 e) {
  return bits_as<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}

/// 17 bytes, nothing is aligned: an exponent and 16 bytes of codes. w = 2^(e - 128) * twice the e2m1 value.
struct MXFP4 : SmallBlock<17, false> {
  struct Raw {
    u32x4 nibbles;
    u32 e;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<1>(row + 1, block), load_u8(row, block)};
  }
  typedef E2m1 Entries;
  static TW_MEMBER float scale(const Raw& raw, u32) { return mxfp4_scale(raw.e); }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) look_up_nibbles<E2m1>(raw.nibbles[i], codes[i], codes[i + 4]);
    scale_both(MXFP4::scale(raw, 0), 0.0f, scale, min);
  }
};

}  // namespace tw
