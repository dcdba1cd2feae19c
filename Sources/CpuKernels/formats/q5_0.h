// Q5_0: 32 weights in 22 bytes, w = d * (q - 16), q in 0..31.
// encode saturates at 16 * 65504 = 1048064.
#ifndef TILEWRIGHT_FORMATS_Q5_0_H
#define TILEWRIGHT_FORMATS_Q5_0_H

#include "encode_block.h"

namespace tw {
namespace {

struct Q5_0 {
  using Block = tw_block_q5_0;
  static constexpr const char* kName = "q5_0";
  static constexpr int kId = TW_FORMAT_Q5_0;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 16;
  static constexpr Search kSearch = {2.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_nibbles(block.qs, 16, q);
    unpack_fifth_bits(block.qh, q);
    scale[0] = f16_to_f32(block.d);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q5_0>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -16 * kMaxHalf, 16 * kMaxHalf, x);
    const HalfFit fit = fit_half_scale<Uniform<-16, 15>>(x, kBlock, kSearch);
    int8_t q[kBlock];
    quantize_codes<Uniform<-16, 15>>(x, kBlock, f16_to_f32(fit.scale), 0.0f, q);
    for (int i = 0; i < kBlock; ++i) q[i] = static_cast<int8_t>(q[i] + kZero);
    block.d = fit.scale;
    pack_nibbles(q, 16, block.qs);
    pack_fifth_bits(q, block.qh);
  }
};

}  // namespace
}  // namespace tw

#endif
