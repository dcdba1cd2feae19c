// Q5_K: 256 weights in 176 bytes, 8 groups of 32: w = d * sc * q - dmin * m, q in 0..31, sc and m in 0..63.
// encode saturates at 31 * 63 * 65504 and -63 * 65504.
#ifndef TILEWRIGHT_FORMATS_Q5_K_H
#define TILEWRIGHT_FORMATS_Q5_K_H

#include "encode_affine.h"

namespace tw {
namespace {

struct Q5_K {
  using Block = tw_block_q5_k;
  static constexpr const char* kName = "q5_k";
  static constexpr int kId = TW_FORMAT_Q5_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = true;
  static constexpr int kZero = 0;
  static constexpr Search kSearch = {1.0f, 1.0f, 0.5f};
  static constexpr Search kScaleSearch = {8.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    for (int i = 0; i < 4; ++i) unpack_nibbles(block.qs + 32 * i, 32, q + 64 * i);
    for (int i = 0; i < 256; ++i) q[i] = static_cast<int8_t>(q[i] | (((block.qh[i % 32] >> (i / 32)) & 1) << 4));
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

  static void decode(const Block& block, float* out) { decode_codes<Q5_K>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -63 * kMaxHalf, 31 * 63 * kMaxHalf, x);
    const auto fit = fit_super_affine<31, kGroup, 8, 63>(x, kSearch, kScaleSearch);
    block = {};
    block.d = fit.d;
    block.dmin = fit.dmin;
    pack_scales_mins_6(fit.scale, fit.min, block.scales);
    int8_t q[kBlock];
    super_codes<Q5_K, Uniform<0, 31>>(x, block, q);
    for (int i = 0; i < 4; ++i) pack_nibbles(q + 64 * i, 32, block.qs + 32 * i);
    for (int i = 0; i < kBlock; ++i)
      block.qh[i % 32] = static_cast<uint8_t>(block.qh[i % 32] | ((q[i] >> 4) << (i / 32)));
  }
};

}  // namespace
}  // namespace tw

#endif
