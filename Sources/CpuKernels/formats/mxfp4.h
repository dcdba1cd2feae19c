// MXFP4: 32 weights in 17 bytes, w = 2^(e - 128) * (twice the e2m1 value), which is the code, -12..12.
#ifndef TILEWRIGHT_FORMATS_MXFP4_H
#define TILEWRIGHT_FORMATS_MXFP4_H

#include "bits.h"

namespace tw {
namespace {

struct MXFP4 {
  using Block = tw_block_mxfp4;
  static constexpr const char* kName = "mxfp4";
  static constexpr int kId = 29;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    for (int i = 0; i < 32; ++i) q[i] = kE2m1Doubled[q[i]];
    scale[0] = e8m0_half_to_f32(block.e);
  }

  static void decode(const Block& block, float* out) { decode_codes<MXFP4>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
