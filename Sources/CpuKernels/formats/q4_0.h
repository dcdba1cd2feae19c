// Q4_0: 32 weights in 18 bytes, w = d * (q - 8), q in 0..15.
// encode saturates at 8 * 65504 = 524032.
#ifndef TILEWRIGHT_FORMATS_Q4_0_H
#define TILEWRIGHT_FORMATS_Q4_0_H

#include "encode_block.h"

namespace tw {
namespace {

struct Q4_0 {
  using Block = tw_block_q4_0;
  static constexpr const char* kName = "q4_0";
  static constexpr int kId = TW_FORMAT_Q4_0;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 8;
  static constexpr Search kSearch = {1.0f, 1.5f, 0.25f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q4_0>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -8 * kMaxHalf, 8 * kMaxHalf, x);
    const HalfFit fit = fit_half_scale<Uniform<-8, 7>>(x, kBlock, kSearch);
    int8_t q[kBlock];
    quantize_codes<Uniform<-8, 7>>(x, kBlock, f16_to_f32(fit.scale), 0.0f, q);
    for (int i = 0; i < kBlock; ++i) q[i] = static_cast<int8_t>(q[i] + kZero);
    block.d = fit.scale;
    pack_nibbles(q, 16, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
