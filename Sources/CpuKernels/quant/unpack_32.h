// Unpacking of the formats with blocks of 32 weights. A lane is a block.
#pragma once

#include "scales.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Lanes are blocks, steps are dwords, both in order.
template <class F>
struct Blocks32 {
  static constexpr int dword(int, int step, int lane) { return lane * 8 + step; }

  /// codes[t] and codes[4 + t]: the low and the high nibbles of dword t of the bytes at p + `at` of each block.
  template <int at>
  TW_INLINE static void nibbles(const uint8_t* p, Bytes* codes) {
    Bytes t[4];
    transpose_quads(p + at, F::kBytes, 4 * F::kBytes, 8 * F::kBytes, t);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      codes[i] = t[i] & 15;
      codes[4 + i] = shift_right(t[i], 4) & 15;
    }
  }

  template <int at>
  TW_INLINE static void nibbles_of_book(const uint8_t* p, Bytes book, Bytes* codes) {
    nibbles<at>(p, codes);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) codes[i] = lookup(book, codes[i]);
  }

  /// Bit j of `bits` becomes bit 4 of code j.
  TW_INLINE static void fifth_bits(U32 bits, Bytes* codes) {
    codes[0] |= spread_bits<0>(bits);
    codes[1] |= spread_bits<4>(bits);
    codes[2] |= spread_bits<8>(bits);
    codes[3] |= spread_bits<12>(bits);
    codes[4] |= spread_bits<16>(bits);
    codes[5] |= spread_bits<20>(bits);
    codes[6] |= spread_bits<24>(bits);
    codes[7] |= spread_bits<28>(bits);
  }

  TW_INLINE static F32 f16_scale(const uint8_t* p) {
    return lanes_f16(p, F::kBytes);
  }

  /// The header of the formats with a min: the halves d and m.
  TW_INLINE static void scale_and_min(const uint8_t* p, Unit<F>& unit) {
    const U32 header = lanes_u32(p, F::kBytes);
    unit.scale[0] = narrow_f16(header);
    unit.min[0] = -narrow_f16(header >> 16);
  }
};

template <>
struct Unpack<Q4_0> : Blocks32<Q4_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_0>& unit) {
    nibbles<2>(p, unit.codes[0]);
    unit.scale[0] = f16_scale(p);
  }
};

template <>
struct Unpack<Q4_1> : Blocks32<Q4_1> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_1>& unit) {
    nibbles<4>(p, unit.codes[0]);
    scale_and_min(p, unit);
  }
};

template <>
struct Unpack<Q5_0> : Blocks32<Q5_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_0>& unit) {
    nibbles<6>(p, unit.codes[0]);
    fifth_bits(lanes_u32(p + 2, sizeof(tw_block_q5_0)), unit.codes[0]);
    unit.scale[0] = f16_scale(p);
  }
};

template <>
struct Unpack<Q5_1> : Blocks32<Q5_1> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_1>& unit) {
    nibbles<8>(p, unit.codes[0]);
    fifth_bits(lanes_u32(p + 4, sizeof(tw_block_q5_1)), unit.codes[0]);
    scale_and_min(p, unit);
  }
};

template <>
struct Unpack<Q8_0> : Blocks32<Q8_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q8_0>& unit) {
    constexpr int bytes = sizeof(tw_block_q8_0);
    transpose_quads(p + 2, bytes, 4 * bytes, 8 * bytes, unit.codes[0]);
    transpose_quads(p + 18, bytes, 4 * bytes, 8 * bytes, unit.codes[0] + 4);
    // + 128 modulo 256
    for (Bytes& codes : unit.codes[0]) codes ^= static_cast<uint8_t>(kWideOffset);
    unit.scale[0] = f16_scale(p);
  }
};

template <>
struct Unpack<IQ4_NL> : Blocks32<IQ4_NL> {
  TW_INLINE static void load(const uint8_t* p, Unit<IQ4_NL>& unit) {
    nibbles_of_book<2>(p, code_book<IQ4_NL>(kIq4Values), unit.codes[0]);
    unit.scale[0] = f16_scale(p);
  }
};

template <>
struct Unpack<MXFP4> : Blocks32<MXFP4> {
  TW_INLINE static void load(const uint8_t* p, Unit<MXFP4>& unit) {
    nibbles_of_book<1>(p, code_book<MXFP4>(kE2m1Doubled), unit.codes[0]);
    unit.scale[0] = e8m0_half(lanes_u8(p, sizeof(tw_block_mxfp4)));
  }
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
