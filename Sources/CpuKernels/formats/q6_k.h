// Q6_K: 256 weights in 210 bytes, 16 groups of 16: w = d * sc * (q - 32), q in 0..63, sc in -128..127.
// encode saturates at 32 * 128 * 65504 = 268304384.
#ifndef TILEWRIGHT_FORMATS_Q6_K_H
#define TILEWRIGHT_FORMATS_Q6_K_H

#include "encode_scales.h"

namespace tw {
namespace {

struct Q6_K {
  using Block = tw_block_q6_k;
  static constexpr const char* kName = "q6_k";
  static constexpr int kId = TW_FORMAT_Q6_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 16;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 32;
  static constexpr Search kSearch = {8.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    for (int h = 0; h < 2; ++h) unpack_nibbles(block.ql + 64 * h, 64, q + 128 * h);
    int8_t top[256];
    unpack_crumbs(block.qh, top);
    for (int i = 0; i < 256; ++i) q[i] = static_cast<int8_t>(q[i] | (top[i] << 4));
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(block.scales[g]);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q6_K>(block, out); }

  static void encode(const float* in, Block& block) {
    using Book = Uniform<-32, 31>;
    float x[kBlock];
    sanitize(in, kBlock, -32 * 128 * kMaxHalf, 32 * 128 * kMaxHalf, x);
    const auto fit = fit_super_scales<Book, kGroup, 16, -128, 127>(x, kSearch);
    block = {};
    block.d = fit.d;
    memcpy(block.scales, fit.scale, sizeof block.scales);
    int8_t q[kBlock];
    super_codes<Q6_K, Book>(x, block, q);
    for (int i = 0; i < kBlock; ++i) q[i] = static_cast<int8_t>(q[i] + kZero);
    for (int h = 0; h < 2; ++h) pack_nibbles(q + 128 * h, 64, block.ql + 64 * h);
    for (int i = 0; i < kBlock; ++i) q[i] = static_cast<int8_t>(q[i] >> 4);
    pack_crumbs(q, block.qh);
  }
};

}  // namespace
}  // namespace tw

#endif
