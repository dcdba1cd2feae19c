// Q6_K: 256 weights in sub-blocks of 16, w = d * sc * (q - 32). 128 bytes of low nibbles, 64 bytes with the upper pairs
// of bits, 16 signed scales, d: 210 bytes, so blocks are aligned to 2. In a half of 128 weights, byte l of the nibbles
// has weights l and l + 64, and byte l % 32 of the pairs has those of l, l + 32, l + 64 and l + 96.
#pragma once
#include "format.h"

namespace tw {

struct Q6_K {
  enum : u32 { block = 256, bytes = 210, align = 2, parts = 8, step = 64 };
  enum : bool { has_min = false, one_scale = false };
  static TW_MEMBER u32 run(u32 part) { return 128 * (part / 4) + 16 * (part % 4); }
  struct Raw {
    u32x4 nibbles, pairs;
    i32 first, second;
    u32 d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    const u32 scales = block + 8 * (part / 4) + part % 4;
    return {load_u128<2>(row, block + 16 * part), load_u128<2>(row + 128, block + 32 * (part / 4) + 16 * (part % 2)),
            load_i8(row + 192, scales), load_i8(row + 196, scales), load_u16<2>(row + 208, block)};
  }
  /// Codes are 4 * (q - 32).
  static TW_MEMBER void decode(const Raw& raw, u32 part, u32 codes[8], float scale[2], float min[2]) {
    const float d = 0.25f * from_f16(raw.d);
    scale[0] = d * float(raw.first);
    scale[1] = d * float(raw.second);
    min[0] = min[1] = 0.0f;
    const u32 pair = part / 2 % 2 * 2;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 pairs = raw.pairs[i] ^ 0xaaaaaaaau;
      codes[i] = (raw.nibbles[i] << 2 & 0x3c3c3c3cu) | (pairs << (6 - pair) & 0xc0c0c0c0u);
      codes[i + 4] = (raw.nibbles[i] >> 2 & 0x3c3c3c3cu) | (pairs << (2 - pair) & 0xc0c0c0c0u);
    }
  }
  struct RawRun {
    u32x4 nibbles, pairs;
    i32 scale;
    u32 d;
  };
  static TW_MEMBER RawRun load_run(const u8* row, u32 block, u32 part, u32 second) {
    const u32 scales = block + 8 * (part / 4) + 4 * second + part % 4;
    return {load_u128<2>(row, block + 16 * part), load_u128<2>(row + 128, block + 32 * (part / 4) + 16 * (part % 2)),
            load_i8(row + 192, scales), load_u16<2>(row + 208, block)};
  }
  static TW_MEMBER void decode_run(const RawRun& raw, u32 part, u32 second, u32 codes[4], float& scale, float& min) {
    scale = 0.25f * from_f16(raw.d) * float(raw.scale);
    min = 0.0f;
    // Rotations that bring the codes to the top of their bytes.
    const u32 nibble = second != 0 ? 2 : 30, pair = 26 + part / 2 % 2 * 2 + 4 * second;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 pairs = raw.pairs[i] ^ 0xaaaaaaaau;
      codes[i] = (rotate_right(raw.nibbles[i], nibble) & 0x3c3c3c3cu) | (rotate_right(pairs, pair) & 0xc0c0c0c0u);
    }
  }
};

}  // namespace tw
