// Q4_K: 256 weights in 144 bytes, 8 groups of 32: w = d * sc * q - dmin * m, q in 0..15, sc and m in 0..63.
// encode saturates at 15 * 63 * 65504 and -63 * 65504.
#ifndef TILEWRIGHT_FORMATS_Q4_K_H
#define TILEWRIGHT_FORMATS_Q4_K_H

#include "encode_affine.h"

namespace tw {
namespace {

struct Q4_K {
  using Block = tw_block_q4_k;
  static constexpr const char* kName = "q4_k";
  static constexpr int kId = TW_FORMAT_Q4_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {1.0f, 1.0f, 0.5f};
  static constexpr Search kScaleSearch = {4.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    for (int i = 0; i < 4; ++i) unpack_nibbles(block.qs + 32 * i, 32, q + 64 * i);
    uint8_t sc[8];
    uint8_t m[8];
    unpack_scales_mins_6(block.scales, sc, m);
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int g = 0; g < 8; ++g) {
      scale[g] = d * static_cast<float>(sc[g]);
      min[g] = dmin * static_cast<float>(m[g]);
    }
  }

  static void decode(const Block& block, float* out) { decode_codes<Q4_K>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -63 * kMaxHalf, 15 * 63 * kMaxHalf, x);
    const auto fit = fit_super_affine<15, kGroup, 8, 63>(x, kSearch, kScaleSearch);
    block = {};
    block.d = fit.d;
    block.dmin = fit.dmin;
    pack_scales_mins_6(fit.scale, fit.min, block.scales);
    int8_t q[kBlock];
    super_codes<Q4_K, Uniform<0, 15>>(x, block, q);
    for (int i = 0; i < 4; ++i) pack_nibbles(q + 64 * i, 32, block.qs + 32 * i);
  }
};

}  // namespace
}  // namespace tw

#endif
