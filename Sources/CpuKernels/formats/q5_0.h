// Q5_0: 32 weights in 22 bytes, w = d * (q - 16), q in 0..31.
#ifndef TILEWRIGHT_FORMATS_Q5_0_H
#define TILEWRIGHT_FORMATS_Q5_0_H

#include "bits.h"

namespace tw {
namespace {

struct Q5_0 {
  using Block = tw_block_q5_0;
  static constexpr const char* kName = "q5_0";
  static constexpr int kId = 18;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 16;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    unpack_fifth_bits(block.qh, q);
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q5_0>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
