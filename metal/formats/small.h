// Formats with blocks of 32: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0.
#pragma once
#include "format.h"

namespace tw {

struct Q4_0 {
  TW_Q4_0_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = from_f16(ushort(read_u16(at, wide)));
    const uint q = read_u16(at + 2 + position % 16, wide) >> (position / 16 * 4);
    w[0] = d * (float(q & 15) - 8.0f);
    w[1] = d * (float((q >> 8) & 15) - 8.0f);
  }
};

struct Q4_1 {
  TW_Q4_1_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const uint head = read_u32(at, wide);
    const float d = from_f16(ushort(head));
    const float m = from_f16(ushort(head >> 16));
    const uint q = read_u16(at + 4 + position % 16, wide) >> (position / 16 * 4);
    w[0] = d * float(q & 15) + m;
    w[1] = d * float((q >> 8) & 15) + m;
  }
};

struct Q5_0 {
  TW_Q5_0_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = from_f16(ushort(read_u16(at, wide)));
    const uint fifth = read_u16(at + 2 + position / 16 * 2, wide) >> (position % 16);
    const uint q = read_u16(at + 6 + position % 16, wide) >> (position / 16 * 4);
    w[0] = d * (float((q & 15) | ((fifth & 1) << 4)) - 16.0f);
    w[1] = d * (float(((q >> 8) & 15) | ((fifth & 2) << 3)) - 16.0f);
  }
};

/// 24 bytes, aligned to 8. (Loads of 8 bytes of codes would halve the loads, but then the lanes' activations lie 64
/// bytes apart: four times the lines.)
struct Q5_1 {
  TW_Q5_1_BLOCK;
  enum : uint { run = 2, runs = 2, step = 16, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const uint2 head = read_u64(at, wide);
    const float d = from_f16(ushort(head.x));
    const float m = from_f16(ushort(head.x >> 16));
    const uint fifth = head.y >> position;
    const uint q = read_u16(at + 8 + position % 16, wide) >> (position / 16 * 4);
    w[0] = d * float((q & 15) | ((fifth & 1) << 4)) + m;
    w[1] = d * float(((q >> 8) & 15) | ((fifth & 2) << 3)) + m;
  }
};

struct Q8_0 {
  TW_Q8_0_BLOCK;
  enum : uint { run = 2, runs = 1, step = 0, element = 1 };
  static uint start(uint part) { return 2 * part; }
  static long pitch(long) { return bytes; }
  static void decode(device const uchar* at, uint position, bool wide, thread float* w) {
    const float d = from_f16(ushort(read_u16(at, wide)));
    const char2 q = as_type<char2>(ushort(read_u16(at + 2 + position, wide)));
    w[0] = d * float(q.x);
    w[1] = d * float(q.y);
  }
};

}  // namespace tw
