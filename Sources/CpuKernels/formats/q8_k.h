// Q8_K: 256 weights in 292 bytes, w = d * q, d a float, q in -128..127; bsums (sums of 16 codes) are not read.
// encode saturates at 254 * 2^120 = 3.38e38, and writes the code -128 only where the best scale cuts a weight off.
#ifndef TILEWRIGHT_FORMATS_Q8_K_H
#define TILEWRIGHT_FORMATS_Q8_K_H

#include "encode_block.h"

namespace tw {
namespace {

struct Q8_K {
  using Block = tw_block_q8_k;
  static constexpr const char* kName = "q8_k";
  static constexpr int kId = TW_FORMAT_Q8_K;
  static constexpr int kBlock = 256;
  static constexpr int kBytes = sizeof(Block);
  static constexpr int kGroup = 32;
  static constexpr bool kHasMin = false;
  static constexpr int kZero = 0;
  static constexpr float kLargest = 0x1.fcp127f;  // half a step above it is still a float
  static constexpr Search kSearch = {4.0f, 1.0f, 0.5f};

  static void codes(const Block& block, int8_t* q, float* scale, float* min) {
    (void)min;
    memcpy(q, block.qs, sizeof block.qs);
    for (int g = 0; g < 8; ++g) scale[g] = block.d;
  }

  static void decode(const Block& block, float* out) { decode_codes<Q8_K>(block, out); }

  static void encode(const float* in, Block& block) {
    float x[kBlock];
    sanitize(in, kBlock, -kLargest, kLargest, x);
    const int exponent = normalize(x, kBlock);
    using Book = Uniform<-127, 127>;
    const float max = peak(x, kBlock);
    // Besides the fit: the plain choice, and the one that is exact where all weights are 0 or alike.
    const f32x4 scales = {0.0f, fit_scale<Book>(x, kBlock, kSearch).scale, max / 127, max / 64};
    const float scale = scales[least_lane(measure<Book>(x, kBlock, scales, splat(0.0f)).rr, 0.0f)];
    quantize_codes<Uniform<-128, 127>>(x, kBlock, scale, 0.0f, block.qs);
    block.d = ldexpf(scale, exponent);
    for (int i = 0; i < 16; ++i) {
      int sum = 0;
      for (int j = 0; j < 16; ++j) sum += block.qs[16 * i + j];
      block.bsums[i] = static_cast<int16_t>(sum);
    }
  }
};

}  // namespace
}  // namespace tw

#endif
