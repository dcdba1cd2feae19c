// How GGUF's blocks spread codes over bytes; the patterns that several formats share, one function each way.
#ifndef TILEWRIGHT_FORMATS_BITS_H
#define TILEWRIGHT_FORMATS_BITS_H

#include <stdint.h>

#include "half.h"
#include "tilewright/blocks.h"
#include "tilewright/params.h"

namespace tw {
namespace {

/// IQ4_NL's and IQ4_XS's code book.
static constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Twice the values of an e2m1 float (sign, two exponent bits, one mantissa bit), so that they are whole.
static constexpr int8_t kE2m1Doubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// `half` bytes hold 2 * half codes of four bits: byte j holds code j (low) and code j + half (high).
static inline void unpack_nibbles(const uint8_t* bytes, int half, int8_t* q) {
  for (int j = 0; j < half; ++j) {
    q[j] = static_cast<int8_t>(bytes[j] & 15);
    q[j + half] = static_cast<int8_t>(bytes[j] >> 4);
  }
}

/// Packs the low four bits of every code.
static inline void pack_nibbles(const int8_t* q, int half, uint8_t* bytes) {
  for (int j = 0; j < half; ++j) bytes[j] = static_cast<uint8_t>((q[j] & 15) | ((q[j + half] & 15) << 4));
}

/// The fifth bits of 32 codes in four bytes: bit j belongs to code j.
static inline void unpack_fifth_bits(const uint8_t* qh, int8_t* q) {
  for (int j = 0; j < 32; ++j) q[j] = static_cast<int8_t>(q[j] | (((qh[j / 8] >> (j % 8)) & 1) << 4));
}

static inline void pack_fifth_bits(const int8_t* q, uint8_t* qh) {
  for (int i = 0; i < 4; ++i) {
    unsigned byte = 0;
    for (int j = 0; j < 8; ++j) byte |= static_cast<unsigned>((q[8 * i + j] >> 4) & 1) << j;
    qh[i] = static_cast<uint8_t>(byte);
  }
}

/// 256 codes of two bits in 64 bytes: bits 2j..2j+1 of byte 32h + l belong to code 128h + 32j + l.
static inline void unpack_crumbs(const uint8_t* bytes, int8_t* q) {
  for (int h = 0; h < 2; ++h)
    for (int j = 0; j < 4; ++j)
      for (int l = 0; l < 32; ++l) q[128 * h + 32 * j + l] = static_cast<int8_t>((bytes[32 * h + l] >> (2 * j)) & 3);
}

/// Packs the low two bits of every code.
static inline void pack_crumbs(const int8_t* q, uint8_t* bytes) {
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 32; ++l) {
      unsigned byte = 0;
      for (int j = 0; j < 4; ++j) byte |= static_cast<unsigned>(q[128 * h + 32 * j + l] & 3) << (2 * j);
      bytes[32 * h + l] = static_cast<uint8_t>(byte);
    }
}

/// Q4_K's and Q5_K's 12 bytes: eight 6-bit scales and eight 6-bit mins. The first four of each have a byte of their own
/// (scales in 0..3, mins in 4..7); the last four have their low nibbles in bytes 8..11 and their top two bits in the
/// spare top bits of the first eight bytes.
static inline void unpack_scales_mins_6(const uint8_t* bytes, uint8_t* scale, uint8_t* min) {
  for (int j = 0; j < 4; ++j) {
    scale[j] = bytes[j] & 63;
    min[j] = bytes[j + 4] & 63;
    scale[j + 4] = static_cast<uint8_t>((bytes[j + 8] & 15) | ((bytes[j] >> 6) << 4));
    min[j + 4] = static_cast<uint8_t>((bytes[j + 8] >> 4) | ((bytes[j + 4] >> 6) << 4));
  }
}

static inline void pack_scales_mins_6(const uint8_t* scale, const uint8_t* min, uint8_t* bytes) {
  for (int j = 0; j < 4; ++j) {
    bytes[j] = static_cast<uint8_t>(scale[j] | ((scale[j + 4] >> 4) << 6));
    bytes[j + 4] = static_cast<uint8_t>(min[j] | ((min[j + 4] >> 4) << 6));
    bytes[j + 8] = static_cast<uint8_t>((scale[j + 4] & 15) | ((min[j + 4] & 15) << 4));
  }
}

/// Q3_K's 12 bytes: sixteen 6-bit scales, low nibbles in bytes 0..7 (scale j and j + 8), top two bits in bytes 8..11.
static inline void unpack_scales_6(const uint8_t* bytes, uint8_t* scale) {
  for (int j = 0; j < 16; ++j) {
    const unsigned low = j < 8 ? bytes[j] & 15u : bytes[j - 8] >> 4;
    const unsigned high = (bytes[8 + j % 4] >> (2 * (j / 4))) & 3u;
    scale[j] = static_cast<uint8_t>(low | (high << 4));
  }
}

static inline void pack_scales_6(const uint8_t* scale, uint8_t* bytes) {
  for (int j = 0; j < 8; ++j) bytes[j] = static_cast<uint8_t>((scale[j] & 15) | ((scale[j + 8] & 15) << 4));
  for (int i = 0; i < 4; ++i) {
    unsigned byte = 0;
    for (int j = 0; j < 4; ++j) byte |= static_cast<unsigned>(scale[4 * j + i] >> 4) << (2 * j);
    bytes[8 + i] = static_cast<uint8_t>(byte);
  }
}

/// The float values of a block from its integer form: w = scale * (q - kZero) - min, each operation rounded once.
/// Compile with -ffp-contract=off: a fused multiply-add rounds once for both and is no longer bit-exact with ggml.
template <class F>
static inline void decode_codes(const typename F::Block& block, float* out) {
  int8_t q[F::kBlock];
  float scale[F::kBlock / F::kGroup];
  float min[F::kBlock / F::kGroup];
  F::codes(block, q, scale, min);
  for (int g = 0; g < F::kBlock / F::kGroup; ++g)
    for (int i = g * F::kGroup; i < (g + 1) * F::kGroup; ++i) {
      const float w = scale[g] * static_cast<float>(q[i] - F::kZero);
      if constexpr (F::kHasMin)
        out[i] = w - min[g];
      else
        out[i] = w;
    }
}

}  // namespace
}  // namespace tw

#endif
