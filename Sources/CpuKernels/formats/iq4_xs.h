// IQ4_XS: 256 weights in 136 bytes, 8 groups of 32: w = d * (sc - 32) * table[index], sc in 0..63; the code is the
// encode saturates at 32 * 127 * 65504 = 266208256.
// entry.
#ifndef TILEWRIGHT_FORMATS_IQ4_XS_H
#define TILEWRIGHT_FORMATS_IQ4_XS_H

#include "encode_scales.h"

namespace tw {
namespace {

struct IQ4_XS {
  using Block = tw_block_iq4_xs;
  static constexpr const char* kName = "iq4_xs";
  static constexpr int kId = TW_FORMAT_IQ4_XS;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {40.0f, 28.0f, 4.0f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 8; ++g) {
      unpack_nibbles(block.qs + 16 * g, 16, q + 32 * g);
      const int low = (block.scales_l[g / 2] >> (4 * (g % 2))) & 15;
      const int high = (block.scales_h >> (2 * g)) & 3;
      scale[g] = d * static_cast<float>((low | (high << 4)) - 32);
    }
    for (int i = 0; i < 256; ++i) q[i] = kIq4Values[q[i]];
  }

  static void decode(const Block& block, float* out) { decode_codes<IQ4_XS>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -127 * 32 * kMaxHalf, 127 * 32 * kMaxHalf, x);
    const auto fit = fit_super_scales<Iq4Book, kGroup, 8, -32, 31>(x, kSearch);
    block = {};
    block.d = fit.d;
    for (int g = 0; g < 8; ++g) {
      const int sc = fit.scale[g] + 32;
      block.scales_l[g / 2] = static_cast<uint8_t>(block.scales_l[g / 2] | ((sc & 15) << (4 * (g % 2))));
      block.scales_h = static_cast<uint16_t>(block.scales_h | ((sc >> 4) << (2 * g)));
    }
    int8_t q[kBlock];
    super_codes<IQ4_XS, Iq4Book>(x, block, q);
    for (int i = 0; i < kBlock; ++i) q[i] = index_of(kIq4Values, q[i]);
    for (int g = 0; g < 8; ++g) pack_nibbles(q + 32 * g, 16, block.qs + 16 * g);
  }
};

}  // namespace
}  // namespace tw

#endif
