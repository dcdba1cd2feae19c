// Formats whose codes index a table: IQ4_NL, IQ4_XS, MXFP4.
#pragma once
#include "format.h"

namespace tw {

constant char iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct IQ4_NL {
  TW_IQ4_NL_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = from_f16(ushort(read_u16(at, wide)));
    const uint q = read_u16(at + 2 + position % 16, wide) >> (position / 16 * 4);
    w[0] = d * float(iq4_values[q & 15]);
    w[1] = d * float(iq4_values[(q >> 8) & 15]);
  }
};

/// 136 bytes, aligned to 8.
struct IQ4_XS {
  TW_IQ4_XS_BLOCK;
  enum : uint { run = 4, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 32 * (part / 4) + 4 * (part % 4); }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const uint2 head = read_u64(at, wide);
    const uint g = position / 32;
    const uint scale = ((head.y >> (4 * g)) & 15) | (((head.x >> (16 + 2 * g)) & 3) << 4);
    const float d = from_f16(ushort(head.x)) * (float(scale) - 32.0f);
    const uint q = read_u32(at + 8 + 16 * g + position % 16, wide) >> (position / 16 % 2 * 4);
    for (uint i = 0; i < 4; i++) w[i] = d * float(iq4_values[(q >> (8 * i)) & 15]);
  }
};

/// 17 bytes: nothing is aligned. w = 2^(e - 128) * twice the e2m1 value, which is a whole number.
struct MXFP4 {
  TW_MXFP4_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static float value(uint q) {
    const uint exponent = q >> 1 & 3;
    const uint mantissa = q & 1;
    const uint magnitude = exponent == 0 ? mantissa : (2 | mantissa) << (exponent - 1);
    return (q & 8) != 0 ? -float(magnitude) : float(magnitude);
  }
  static void decode(device const uchar* at, uint position, bool, thread float* w) {
    const uint e = at[0];
    const float d = as_type<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);
    const uint shift = position / 16 * 4;
    w[0] = d * value((uint(at[1 + position % 16]) >> shift) & 15);
    w[1] = d * value((uint(at[2 + position % 16]) >> shift) & 15);
  }
};

}  // namespace tw
