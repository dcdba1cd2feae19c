// Q3_K: 256 weights in 110 bytes, 16 groups of 16: w = d * (sc - 32) * (q - 4), q in 0..7, sc in 0..63.
// encode saturates at 4 * 32 * 65504 = 8384512.
#ifndef TILEWRIGHT_FORMATS_Q3_K_H
#define TILEWRIGHT_FORMATS_Q3_K_H

#include "encode_scales.h"

namespace tw {
namespace {

struct Q3_K {
  using Block = tw_block_q3_k;
  static constexpr const char* kName = "q3_k";
  static constexpr int kId = TW_FORMAT_Q3_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 16;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 4;
  static constexpr Search kSearch = {1.0f, 1.0f, 0.25f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    unpack_crumbs(block.qs, q);
    for (int i = 0; i < 256; ++i) q[i] = static_cast<int8_t>(q[i] | (((block.hmask[i % 32] >> (i / 32)) & 1) << 2));
    uint8_t sc[16];
    unpack_scales_6(block.scales, sc);
    const float d = f16_to_f32(block.d);
    for (int g = 0; g < 16; ++g) scale[g] = d * static_cast<float>(sc[g] - 32);
  }

  static void decode(const Block& block, float* out) { decode_codes<Q3_K>(block, out); }

  static void encode(const float* in, Block& block) {
    using Book = Uniform<-4, 3>;
    float x[kBlock];
    sanitize(in, kBlock, -4 * 32 * kMaxHalf, 4 * 32 * kMaxHalf, x);
    const auto fit = fit_super_scales<Book, kGroup, 16, -32, 31>(x, kSearch);
    uint8_t sc[16];
    for (int g = 0; g < 16; ++g) sc[g] = static_cast<uint8_t>(fit.scale[g] + 32);
    block = {};
    block.d = fit.d;
    pack_scales_6(sc, block.scales);
    int8_t q[kBlock];
    super_codes<Q3_K, Book>(x, block, q);
    for (int i = 0; i < kBlock; ++i) {
      q[i] = static_cast<int8_t>(q[i] + kZero);
      block.hmask[i % 32] = static_cast<uint8_t>(block.hmask[i % 32] | ((q[i] >> 2) << (i / 32)));
    }
    pack_crumbs(q, block.qs);
  }
};

}  // namespace
}  // namespace tw

#endif
