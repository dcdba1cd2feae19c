// Q8_K: 256 weights in 292 bytes, w = d * q, d a float, q in -128..127; bsums (sums of 16 codes) are not read.
#ifndef TILEWRIGHT_FORMATS_Q8_K_H
#define TILEWRIGHT_FORMATS_Q8_K_H

#include "bits.h"

namespace tw {
namespace {

struct Q8_K {
  using Block = tw_block_q8_k;
  static constexpr const char* kName = "q8_k";
  static constexpr int kId = 26;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    memcpy(q, block.qs, sizeof block.qs);
    for (int g = 0; g < 8; ++g) scale[g] = block.d;
  }

  static void decode(const Block& block, float* out) { decode_codes<Q8_K>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
