// Q4_1: 32 weights in 20 bytes, w = d * q + m, q in 0..15.
// encode saturates at 16 * 65504 and -65504.
#ifndef TILEWRIGHT_FORMATS_Q4_1_H
#define TILEWRIGHT_FORMATS_Q4_1_H

#include "encode_block.h"

namespace tw {
namespace {

struct Q4_1 {
  using Block = tw_block_q4_1;
  static constexpr const char* kName = "q4_1";
  static constexpr int kId = TW_FORMAT_Q4_1;
  static constexpr int kBlock = 32;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {1.0f, 1.0f, 0.5f};
  static constexpr Search kScaleSearch = {8.0f, 1.0f, 0.25f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    unpack_nibbles(block.qs, 16, q);
    scale[0] = f16_to_f32(block.d);
    min[0] = -f16_to_f32(block.m);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q4_1>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -kMaxHalf, 16 * kMaxHalf, x);
    const HalfFit fit = fit_half_affine<15>(x, kBlock, kSearch, kScaleSearch);
    int8_t q[kBlock];
    quantize_codes<Uniform<0, 15>>(x, kBlock, f16_to_f32(fit.scale), f16_to_f32(fit.offset), q);
    block.d = fit.scale;
    block.m = fit.offset;
    pack_nibbles(q, 16, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
