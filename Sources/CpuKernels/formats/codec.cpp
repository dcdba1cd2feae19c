// Compile with -ffp-contract=off and without -ffast-math: decoding is bit-exact only if every operation rounds once.
#include "codec.h"

#include <string.h>

#include "formats.h"

namespace {

// Blocks of 17, 18, 34, 110 or 210 bytes lie at any address; a copy makes the access aligned, and costs nothing here.
template <class F>
void decode_blocks(const void* blocks, float* out, int64_t count) {
  const unsigned char* bytes = static_cast<const unsigned char*>(blocks);
  for (int64_t i = 0; i < count; ++i) {
    typename F::Block block;
    memcpy(&block, bytes + i * F::kBytes, F::kBytes);
    F::decode(block, out + i * F::kBlock);
  }
}

template <class F>
void encode_blocks(const float* in, void* blocks, int64_t count) {
  unsigned char* bytes = static_cast<unsigned char*>(blocks);
  for (int64_t i = 0; i < count; ++i) {
    typename F::Block block;
    F::encode(in + i * F::kBlock, block);
    memcpy(bytes + i * F::kBytes, &block, F::kBytes);
  }
}

template <class F>
constexpr tw_codec make_codec() {
  return {F::kId, F::kName, F::kBlock, F::kBytes, decode_blocks<F>, encode_blocks<F>};
}

constexpr tw_codec kCodecs[] = {
#define TW_CODEC(F) make_codec<tw::F>(),
    TW_FOR_EACH_FORMAT(TW_CODEC)
#undef TW_CODEC
};
constexpr int kCodecCount = sizeof kCodecs / sizeof kCodecs[0];

}  // namespace

const tw_codec* tw_codec_at(int index) {
  return index >= 0 && index < kCodecCount ? &kCodecs[index] : nullptr;
}

const tw_codec* tw_codec_of(int format) {
  for (const tw_codec& codec : kCodecs)
    if (codec.format == format) return &codec;
  return nullptr;
}

bool tw_dequantize(int format, const void* src, float* dst, int64_t n) {
  const tw_codec* codec = tw_codec_of(format);
  if (codec == nullptr) return false;
  codec->decode(src, dst, n / codec->block_weights);
  return true;
}

bool tw_quantize(int format, const float* src, void* dst, int64_t n) {
  const tw_codec* codec = tw_codec_of(format);
  if (codec == nullptr) return false;
  codec->encode(src, dst, n / codec->block_weights);
  return true;
}
