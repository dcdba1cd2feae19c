// Formats with super-blocks of 256: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K.
#pragma once
#include "format.h"

namespace tw {

struct Q2_K {
  TW_Q2_K_BLOCK;
  enum : uint { run = 2, runs = 4, step = 32, element = 1 };
  static uint start(uint part) { return 128 * (part / 16) + 2 * (part % 16); }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const uint head = read_u32(at + 80, wide);
    const uint scales = read_u32(at + position / 64 * 4, wide) >> (position / 16 % 4 * 8);
    const float d = from_f16(ushort(head)) * float(scales & 15);
    const float m = from_f16(ushort(head >> 16)) * float((scales >> 4) & 15);
    const uint q = read_u16(at + 16 + position / 128 * 32 + position % 32, wide) >> (position / 32 % 4 * 2);
    w[0] = d * float(q & 3) - m;
    w[1] = d * float((q >> 8) & 3) - m;
  }
};

struct Q3_K {
  TW_Q3_K_BLOCK;
  enum : uint { run = 2, runs = 4, step = 32, element = 1 };
  static uint start(uint part) { return 128 * (part / 16) + 2 * (part % 16); }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const uint s = position / 16;
    const uint low = read_u16(at + 96 + s % 8 / 2 * 2, wide) >> (s % 2 * 8 + s / 8 * 4);
    const uint high = read_u16(at + 104 + s % 4 / 2 * 2, wide) >> (s % 2 * 8 + s / 4 * 2);
    const float d = from_f16(ushort(read_u16(at + 108, wide))) * (float((low & 15) | ((high & 3) << 4)) - 32.0f);
    const uint q = read_u16(at + 32 + position / 128 * 32 + position % 32, wide) >> (position / 32 % 4 * 2);
    const uint third = read_u16(at + position % 32, wide) >> (position / 32);
    w[0] = d * (float((q & 3) | ((third & 1) << 2)) - 4.0f);
    w[1] = d * (float(((q >> 8) & 3) | ((third >> 8 & 1) << 2)) - 4.0f);
  }
};

/// Scale and min of 32-weight group `s` from the first 16 bytes of a Q4_K or Q5_K block: d, dmin, then 12 bytes with
/// 6-bit scales and mins. The last four of each keep their low nibbles in the last word, their top bits in the others.
METAL_FUNC float2 scale_and_min(uint4 head, uint s) {
  const uint shift = s % 4 * 8;
  const uint first = head.y >> shift;
  const uint second = head.z >> shift;
  const uint third = head.w >> shift;
  uint scale = first & 63;
  uint low = second & 63;
  if (s >= 4) {
    scale = (third & 15) | ((first >> 6 & 3) << 4);
    low = (third >> 4 & 15) | ((second >> 6 & 3) << 4);
  }
  return float2(from_f16(ushort(head.x)) * float(scale), from_f16(ushort(head.x >> 16)) * float(low));
}

/// 144 bytes, aligned to 16: a load of 16 bytes and one of 8 give 16 weights.
struct Q4_K {
  TW_Q4_K_BLOCK;
  enum : uint { run = 8, runs = 2, step = 32, element = 1 };
  static uint start(uint part) { return 64 * (part / 4) + 8 * (part % 4); }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float2 scale = scale_and_min(read_u128(at, wide), position / 32);
    const uint2 q = read_u64(at + 16 + position / 64 * 32 + position % 32, wide) >> (position / 32 % 2 * 4);
    for (uint i = 0; i < 8; i++) w[i] = scale.x * float(byte_of(q, i) & 15) - scale.y;
  }
};

struct Q5_K {
  TW_Q5_K_BLOCK;
  enum : uint { run = 8, runs = 2, step = 32, element = 1 };
  static uint start(uint part) { return 64 * (part / 4) + 8 * (part % 4); }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float2 scale = scale_and_min(read_u128(at, wide), position / 32);
    const uint2 q = read_u64(at + 48 + position / 64 * 32 + position % 32, wide) >> (position / 32 % 2 * 4);
    const uint2 fifth = read_u64(at + 16 + position % 32, wide) >> (position / 32);
    for (uint i = 0; i < 8; i++) {
      w[i] = scale.x * float((byte_of(q, i) & 15) | ((byte_of(fifth, i) & 1) << 4)) - scale.y;
    }
  }
};

/// 210 bytes: words of 4 bytes are read as two of 2.
struct Q6_K {
  TW_Q6_K_BLOCK;
  enum : uint { run = 4, runs = 2, step = 64, element = 1 };
  static uint start(uint part) { return 128 * (part / 16) + 4 * (part % 16); }
  static long pitch(long) { return bytes; }
  static uint word(device const uchar* at, bool wide) { return read_u16(at, wide) | (read_u16(at + 2, wide) << 16); }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = from_f16(ushort(read_u16(at + 208, wide))) * float(((device const char*)at)[192 + position / 16]);
    const uint low = word(at + position / 128 * 64 + position % 64, wide) >> (position / 64 % 2 * 4);
    const uint high = word(at + 128 + position / 128 * 32 + position % 32, wide) >> (position / 32 % 4 * 2);
    for (uint i = 0; i < 4; i++) {
      w[i] = d * (float((low >> (8 * i) & 15) | ((high >> (8 * i) & 3) << 4)) - 32.0f);
    }
  }
};

struct Q8_K {
  TW_Q8_K_BLOCK;
  enum : uint { run = 4, runs = 2, step = 128, element = 1 };
  static uint start(uint part) { return 4 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = as_type<float>(read_u32(at, wide));
    const char4 q = as_type<char4>(read_u32(at + 4 + position, wide));
    for (uint i = 0; i < 4; i++) w[i] = d * float(q[i]);
  }
};

}  // namespace tw
