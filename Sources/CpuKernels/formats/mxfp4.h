// MXFP4: 32 weights in 17 bytes, w = 2^(e - 128) * (twice the e2m1 value), which is the code, -12..12.
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
    int best_e = 0;
    float best_error = -1.0f;
    float best_scale = 0.0f;
    for (int step = -5; step <= -1; ++step) {
      const int e = exponent + step + 128;
      if (e < 0 || e > kMaxExponent) continue;
      const float scale = ldexpf(1.0f, step);
      const float error = measure<E2m1Book>(x, kBlock, scale, 0.0f).rr;
      if (best_error < 0.0f || error < best_error) {
        best_e = e;
        best_error = error;
        best_scale = scale;
      }
    }
    int8_t q[kBlock];
    quantize_codes<E2m1Book>(x, kBlock, best_scale, 0.0f, q);
    for (int i = 0; i < kBlock; ++i) q[i] = index_of(kE2m1Doubled, q[i]);
    block.e = static_cast<uint8_t>(best_e);
    pack_nibbles(q, 16, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
