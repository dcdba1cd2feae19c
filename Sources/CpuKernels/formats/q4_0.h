// Q4_0: 32 weights in 18 bytes, w = d * (q - 8), q in 0..15.
#ifndef TILEWRIGHT_FORMATS_Q4_0_H
#define TILEWRIGHT_FORMATS_Q4_0_H

#include "bits.h"

namespace tw {
namespace {

struct Q4_0 {
  using Block = tw_block_q4_0;
  static constexpr const char* kName = "q4_0";
  static constexpr int kId = 16;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 8;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q4_0>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
