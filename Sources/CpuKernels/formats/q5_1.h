// Q5_1: 32 weights in 24 bytes, w = d * q + m, q in 0..31.
#ifndef TILEWRIGHT_FORMATS_Q5_1_H
#define TILEWRIGHT_FORMATS_Q5_1_H

#include "bits.h"

namespace tw {
namespace {

struct Q5_1 {
  using Block = tw_block_q5_1;
  static constexpr const char* kName = "q5_1";
  static constexpr int kId = 19;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    unpack_nibbles(block.qs, 16, q);
    unpack_fifth_bits(block.qh, q);
    scale[0] = f16_to_f32(block.d);
    min[0] = -f16_to_f32(block.m);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q5_1>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
