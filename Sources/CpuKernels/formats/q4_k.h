// Q4_K: 256 weights in 144 bytes, 8 groups of 32: w = d * sc * q - dmin * m, q in 0..15, sc and m in 0..63.
#ifndef TILEWRIGHT_FORMATS_Q4_K_H
#define TILEWRIGHT_FORMATS_Q4_K_H

#include "bits.h"

namespace tw {
namespace {

struct Q4_K {
  using Block = tw_block_q4_k;
  static constexpr const char* kName = "q4_k";
  static constexpr int kId = 23;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    for (int i = 0; i < 4; ++i) unpack_nibbles(block.qs + 32 * i, 32, q + 64 * i);
    uint8_t sc[8];
    uint8_t m[8];
    unpack_scales_mins_6(block.scales, sc, m);
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int g = 0; g < 8; ++g) {
      scale[g] = d * static_cast<float>(sc[g]);
      min[g] = dmin * static_cast<float>(m[g]);
    }
  }

  static void decode(const Block& block, float* out) { decode_codes<Q4_K>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
