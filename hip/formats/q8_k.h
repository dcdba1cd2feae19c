// Q8_K: 256 signed bytes with one f32 scale, 292 bytes.
#pragma once
#include "format.h"

namespace tw {

struct Q8_K {
  enum : u32 { block = 256, bytes = 292, align = 4, parts = 8, step = 16 };
  enum : bool { has_min = false, one_scale = true };
  static TW_MEMBER u32 run(u32 part) { return 32 * part; }
  struct Raw {
    u32x4 first, second;
    u32 d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) {
    return {load_u128<4>(row + 4, block + 32 * part), load_u128<4>(row + 20, block + 32 * part),
            load_u32<4>(row, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32, u32 codes[8], float scale[2], float min[2]) {
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      codes[i] = raw.first[i];
      codes[i + 4] = raw.second[i];
    }
    scale[0] = scale[1] = bits_as<float>(raw.d);
    min[0] = min[1] = 0.0f;
  }
};

}  // namespace tw
