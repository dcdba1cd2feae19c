// Whole rows of a quantized format to floats and back: one thread, any of the formats, chosen by number.
#ifndef TILEWRIGHT_FORMATS_CODEC_H
#define TILEWRIGHT_FORMATS_CODEC_H

#include <stdint.h>

/// What the host has to know of a format. The table of them is the list in formats.h.
struct tw_codec {
  int format;         // tw_format
  const char* name;   // GGUF's, in lower case
  int block_weights;  // weights of a block
  int block_bytes;    // bytes of a block
  void (*decode)(const void* blocks, float* out, int64_t count);
  void (*encode)(const float* in, void* blocks, int64_t count);
};

/// The codec of a format, or null. Codecs are in the order of the format numbers and `index` runs from 0.
const tw_codec* tw_codec_of(int format);
const tw_codec* tw_codec_at(int index);

/// Decodes `n` weights, a whole number of blocks, bit for bit as ggml's reference does. Nothing is checked but the
/// format: false if it is unknown, and then nothing is written. `src` needs no alignment.
bool tw_dequantize(int format, const void* src, float* dst, int64_t n);

/// Encodes `n` floats, a whole number of blocks. NaN counts as 0, infinities and values beyond the format's range
/// saturate. The root mean square error is at most that of ggml's reference quantizer on every distribution of
/// test/formats; for the blocks of one scale but IQ4_NL that holds block by block. The same bytes on every machine.
/// Measured on one Zen 4 core, normal weights: 40 MB/s of floats (Q2_K, Q4_K, Q5_K) to 230 MB/s (MXFP4).
bool tw_quantize(int format, const float* src, void* dst, int64_t n);

#endif
