// MXFP4: 32 weights in 17 bytes, w = 2^(e - 128) * (twice the e2m1 value), which is the code, -12..12.
// encode saturates at 12 * 2^124 = 2.55e38.
#ifndef TILEWRIGHT_FORMATS_MXFP4_H
#define TILEWRIGHT_FORMATS_MXFP4_H

#include "encode_block.h"

namespace tw {
namespace {

struct MXFP4 {
  using Block = tw_block_mxfp4;
  static constexpr const char* kName = "mxfp4";
  static constexpr int kId = TW_FORMAT_MXFP4;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;
  static constexpr int kMaxExponent = 252;  // above, the larger codes overflow to infinity

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    for (int i = 0; i < 32; ++i) q[i] = kE2m1Doubled[q[i]];
    scale[0] = e8m0_half_to_f32(block.e);
  }

  static void decode(const Block& block, float* out) { decode_codes<MXFP4>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -kMaxFloat, kMaxFloat, x);
    const int exponent = normalize(x, kBlock);  // the peak is now 0 or in [0.5, 1)
    // Four binades: the largest code, 12, at the peak or up to 4 times above it, or clipping.
    f32x4 scales;
    int exponents[4];
    for (int lane = 0; lane < 4; ++lane) {
      const int e = exponent + 128 - 5 + lane;
      exponents[lane] = e < 0 ? 0 : e > kMaxExponent ? kMaxExponent : e;
      scales[lane] = ldexpf(1.0f, exponents[lane] - 128 - exponent);
    }
    const int best = least_lane(measure<E2m1Book>(x, kBlock, scales, splat(0.0f)).rr, 0.0f);
    int8_t q[kBlock];
    quantize_codes<E2m1Book>(x, kBlock, scales[best], 0.0f, q);
    for (int i = 0; i < kBlock; ++i) q[i] = index_of(kE2m1Doubled, q[i]);
    block.e = static_cast<uint8_t>(exponents[best]);
    pack_nibbles(q, 16, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
