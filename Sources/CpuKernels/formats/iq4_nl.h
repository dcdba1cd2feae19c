// IQ4_NL: 32 weights in 18 bytes, w = d * table[index], index in 0..15; the code is the table entry, -127..113.
#ifndef TILEWRIGHT_FORMATS_IQ4_NL_H
#define TILEWRIGHT_FORMATS_IQ4_NL_H

#include "bits.h"

namespace tw {
namespace {

struct IQ4_NL {
  using Block = tw_block_iq4_nl;
  static constexpr const char* kName = "iq4_nl";
  static constexpr int kId = 27;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    for (int i = 0; i < 32; ++i) q[i] = kIq4Values[q[i]];
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<IQ4_NL>(block, out); }
};

}  // namespace
}  // namespace tw

#endif
