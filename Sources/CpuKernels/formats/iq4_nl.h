// IQ4_NL: 32 weights in 18 bytes, w = d * table[index], index in 0..15; the code is the table entry, -127..113.
// encode saturates at 127 * 65504 = 8319008.
#ifndef TILEWRIGHT_FORMATS_IQ4_NL_H
#define TILEWRIGHT_FORMATS_IQ4_NL_H

#include "encode_block.h"

namespace tw {
namespace {

struct IQ4_NL {
  using Block = tw_block_iq4_nl;
  static constexpr const char* kName = "iq4_nl";
  static constexpr int kId = TW_FORMAT_IQ4_NL;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {40.0f, 28.0f, 4.0f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    for (int i = 0; i < 32; ++i) q[i] = kIq4Values[q[i]];
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<IQ4_NL>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -127 * kMaxHalf, 127 * kMaxHalf, x);
    const HalfFit fit = fit_half_scale<Iq4Book>(x, kBlock, kSearch);
    int8_t q[kBlock];
    quantize_codes<Iq4Book>(x, kBlock, f16_to_f32(fit.scale), 0.0f, q);
    for (int i = 0; i < kBlock; ++i) q[i] = index_of(kIq4Values, q[i]);
    block.d = fit.scale;
    pack_nibbles(q, 16, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
