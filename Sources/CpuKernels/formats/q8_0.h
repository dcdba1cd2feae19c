// Q8_0: 32 weights in 34 bytes, w = d * q, q in -128..127.
// encode saturates at 127 * 65504 = 8319008 (the code -128 is read, not written).
#ifndef TILEWRIGHT_FORMATS_Q8_0_H
#define TILEWRIGHT_FORMATS_Q8_0_H

#include "encode_block.h"

namespace tw {
namespace {

struct Q8_0 {
  using Block = tw_block_q8_0;
  static constexpr const char* kName = "q8_0";
  static constexpr int kId = TW_FORMAT_Q8_0;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {9.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    memcpy(q, block.qs, sizeof block.qs);
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q8_0>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -127 * kMaxHalf, 127 * kMaxHalf, x);
    const HalfFit fit = fit_half_scale<Uniform<-127, 127>>(x, kBlock, kSearch);
    block.d = fit.scale;
    quantize_codes<Uniform<-127, 127>>(x, kBlock, f16_to_f32(fit.scale), 0.0f, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
