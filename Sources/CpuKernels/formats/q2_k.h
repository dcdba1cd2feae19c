// Q2_K: 256 weights in 84 bytes, 16 groups of 16: w = d * sc * q - dmin * m, q in 0..3, sc and m in 0..15.
// encode saturates at 3 * 15 * 65504 and -15 * 65504.
#ifndef TILEWRIGHT_FORMATS_Q2_K_H
#define TILEWRIGHT_FORMATS_Q2_K_H

#include "encode_affine.h"

namespace tw {
namespace {

struct Q2_K {
  using Block = tw_block_q2_k;
  static constexpr const char* kName = "q2_k";
  static constexpr int kId = TW_FORMAT_Q2_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 16;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {0.25f, 0.5f, 0.25f};
  static constexpr Search kScaleSearch = {1.0f, 1.0f, 0.25f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    unpack_crumbs(block.qs, q);
    const float d = f16_to_f32(block.d);
    const float dmin = f16_to_f32(block.dmin);
    for (int g = 0; g < 16; ++g) {
      scale[g] = d * static_cast<float>(block.scales[g] & 15);
      min[g] = dmin * static_cast<float>(block.scales[g] >> 4);
    }
  }

  static void decode(const Block& block, float* out) { decode_codes<Q2_K>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -15 * kMaxHalf, 3 * 15 * kMaxHalf, x);
    const auto fit = fit_super_affine<3, kGroup, 16, 15>(x, kSearch, kScaleSearch);
    block = {};
    block.d = fit.d;
    block.dmin = fit.dmin;
    for (int g = 0; g < 16; ++g) block.scales[g] = static_cast<uint8_t>(fit.scale[g] | (fit.min[g] << 4));
    int8_t q[kBlock];
    super_codes<Q2_K, Uniform<0, 3>>(x, block, q);
    pack_crumbs(q, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
