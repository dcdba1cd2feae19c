// Unpacking for AArch64: codes stay in the order of the weights.
//
// Elsewhere lanes are groups, which takes transpositions. Here the dot products of a group's vectors are added across
// lanes instead (GroupDot in dot.h): three pairwise additions for four groups, where a transposition takes one or two
// instructions for each of their vectors. Per 256 weights that is 90 instructions instead of 110 for Q4_0, 101 instead
// of 145 for Q4_K and 74 instead of 108 for Q8_0 (docs/decisions/0006-neon.md).
#pragma once

#include "scales.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Vector v of a unit's codes.
template <class F>
TW_INLINE Bytes& code_vector(Unit<F>& unit, int v) {
  return unit.codes[v / Shape<F>::kSteps][v % Shape<F>::kSteps];
}

/// The order of every format: that of the weights.
template <class F>
struct InOrder {
  static constexpr int dword(int slice, int step, int lane) {
    return (slice * Shape<F>::kSteps + step) * kLanes + lane;
  }
};

// ------------------------------------------------------------------------------------------- blocks of 32, four a unit

/// Low and high nibbles of the 16 bytes at p + `at` of each block.
template <class F, int at>
TW_INLINE void nibbles_of_blocks(const uint8_t* p, Unit<F>& unit) {
#pragma GCC unroll 4
  for (int block = 0; block < 4; block++) {
    const Bytes x = load_vector(p + block * F::kBytes + at);
    code_vector(unit, 2 * block) = x & 15;
    code_vector(unit, 2 * block + 1) = x >> 4;
  }
}

template <class F>
TW_INLINE void look_up_all(const int8_t (&values)[16], Unit<F>& unit) {
  const Bytes book = code_book<F>(values);
#pragma GCC unroll 8
  for (int v = 0; v < 8; v++) code_vector(unit, v) = lookup(book, code_vector(unit, v));
}

/// Bit j of the dword at p + `at` of each block becomes bit 4 of code j.
template <class F, int at>
TW_INLINE void insert_fifth_bits(const uint8_t* p, Unit<F>& unit) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
  const uint8x16_t first = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
  const uint8x16_t last = vcombine_u8(vdup_n_u8(2), vdup_n_u8(3));
#pragma GCC unroll 4
  for (int block = 0; block < 4; block++) {
    const uint8x16_t bits = (uint8x16_t)splat_dword(p + block * F::kBytes + at);
    Bytes& low = code_vector(unit, 2 * block);
    Bytes& high = code_vector(unit, 2 * block + 1);
    low = select(splat_byte(16), (Bytes)vtstq_u8(vqtbl1q_u8(bits, first), bit), low);
    high = select(splat_byte(16), (Bytes)vtstq_u8(vqtbl1q_u8(bits, last), bit), high);
  }
}

template <class F>
TW_INLINE void scale_and_min(const uint8_t* p, Unit<F>& unit) {
  const U32 header = lanes_u32(p, F::kBytes);
  unit.scale[0] = narrow_f16(header);
  unit.min[0] = -narrow_f16(header >> 16);
}

template <>
struct Unpack<Q4_0> : InOrder<Q4_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_0>& unit) {
    nibbles_of_blocks<Q4_0, 2>(p, unit);
    unit.scale[0] = lanes_f16(p, Q4_0::kBytes);
  }
};

template <>
struct Unpack<Q4_1> : InOrder<Q4_1> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_1>& unit) {
    nibbles_of_blocks<Q4_1, 4>(p, unit);
    scale_and_min(p, unit);
  }
};

template <>
struct Unpack<Q5_0> : InOrder<Q5_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_0>& unit) {
    nibbles_of_blocks<Q5_0, 6>(p, unit);
    insert_fifth_bits<Q5_0, 2>(p, unit);
    unit.scale[0] = lanes_f16(p, Q5_0::kBytes);
  }
};

template <>
struct Unpack<Q5_1> : InOrder<Q5_1> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_1>& unit) {
    nibbles_of_blocks<Q5_1, 8>(p, unit);
    insert_fifth_bits<Q5_1, 4>(p, unit);
    scale_and_min(p, unit);
  }
};

template <>
struct Unpack<Q8_0> : InOrder<Q8_0> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q8_0>& unit) {
#pragma GCC unroll 4
    for (int block = 0; block < 4; block++) {
      code_vector(unit, 2 * block) = load_vector(p + block * Q8_0::kBytes + 2);
      code_vector(unit, 2 * block + 1) = load_vector(p + block * Q8_0::kBytes + 18);
    }
    unit.scale[0] = lanes_f16(p, Q8_0::kBytes);
  }
};

template <>
struct Unpack<IQ4_NL> : InOrder<IQ4_NL> {
  TW_INLINE static void load(const uint8_t* p, Unit<IQ4_NL>& unit) {
    nibbles_of_blocks<IQ4_NL, 2>(p, unit);
    look_up_all(kIq4Values, unit);
    unit.scale[0] = lanes_f16(p, IQ4_NL::kBytes);
  }
};

template <>
struct Unpack<MXFP4> : InOrder<MXFP4> {
  TW_INLINE static void load(const uint8_t* p, Unit<MXFP4>& unit) {
    nibbles_of_blocks<MXFP4, 1>(p, unit);
    look_up_all(kE2m1Doubled, unit);
    unit.scale[0] = e8m0_half(lanes_u8(p, MXFP4::kBytes));
  }
};

// ------------------------------------------------------------------------------------------------ super-blocks of 256

/// unit.scale or unit.min: `factor` times the bytes of a quad, less `zero`.
template <bool kSigned, int kSlices>
TW_INLINE void scale_slices(Quad bytes, int zero, F32 factor, F32 (&out)[kSlices]) {
  const int16x8_t low = kSigned ? vmovl_s8(vget_low_s8((int8x16_t)bytes))
                                : vreinterpretq_s16_u16(vmovl_u8(vget_low_u8((uint8x16_t)bytes)));
  const int16x8_t high =
      kSigned ? vmovl_high_s8((int8x16_t)bytes) : vreinterpretq_s16_u16(vmovl_high_u8((uint8x16_t)bytes));
#pragma GCC unroll 4
  for (int slice = 0; slice < kSlices; slice++) {
    const int16x8_t half = slice < 2 ? low : high;
    const int32x4_t x = slice % 2 == 0 ? vmovl_s16(vget_low_s16(half)) : vmovl_high_s16(half);
    out[slice] = factor * to_f32((I32)x - zero);
  }
}

template <>
struct Unpack<Q4_K> : InOrder<Q4_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_K>& unit) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const Bytes x = load_vector(p + 16 + 32 * i);
      const Bytes y = load_vector(p + 32 + 32 * i);
      code_vector(unit, 4 * i) = x & 15;
      code_vector(unit, 4 * i + 1) = y & 15;
      code_vector(unit, 4 * i + 2) = x >> 4;
      code_vector(unit, 4 * i + 3) = y >> 4;
    }
    const Scales6 scales = scales_mins_6(p + 4);
    scale_slices<false>(make_quad(scales.scales, 0), 0, halves_f16(p, 0), unit.scale);
    scale_slices<false>(make_quad(scales.mins, 0), 0, halves_f16(p + 2, 0), unit.min);
  }
};

/// Shifts left by n, or right by -n.
template <int n>
TW_INLINE Bytes shift_bytes(Bytes x) {
  if constexpr (n >= 0) {
    return x << n;
  } else {
    return x >> -n;
  }
}

template <>
struct Unpack<Q5_K> : InOrder<Q5_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_K>& unit) {
    const Bytes bits[2] = {load_vector(p + 16), load_vector(p + 32)};
    join<0>(p, bits, unit);
    join<1>(p, bits, unit);
    join<2>(p, bits, unit);
    join<3>(p, bits, unit);
    const Scales6 scales = scales_mins_6(p + 4);
    scale_slices<false>(make_quad(scales.scales, 0), 0, halves_f16(p, 0), unit.scale);
    scale_slices<false>(make_quad(scales.mins, 0), 0, halves_f16(p + 2, 0), unit.min);
  }

 private:
  /// 64 weights; the fifth bit of group g is bit g.
  template <int i>
  TW_INLINE static void join(const uint8_t* p, const Bytes (&bits)[2], Unit<Q5_K>& unit) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const Bytes x = load_vector(p + 48 + 32 * i + 16 * half);
      code_vector(unit, 4 * i + half) = select(splat_byte(16), shift_bytes<4 - 2 * i>(bits[half]), x & 15);
      code_vector(unit, 4 * i + 2 + half) = select(splat_byte(16), shift_bytes<3 - 2 * i>(bits[half]), x >> 4);
    }
  }
};

template <>
struct Unpack<Q2_K> : InOrder<Q2_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q2_K>& unit) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      const Bytes x = load_vector(p + 16 + 16 * i);
      const int v = i / 2 * 8 + i % 2;
      code_vector(unit, v) = x & 3;
      code_vector(unit, v + 2) = (x >> 2) & 3;
      code_vector(unit, v + 4) = (x >> 4) & 3;
      code_vector(unit, v + 6) = x >> 6;
    }
    const Quad scales = load_quad(p);
    scale_slices<false>(scales & 15, 0, halves_f16(p + 80, 0), unit.scale);
    scale_slices<false>(scales >> 4, 0, halves_f16(p + 82, 0), unit.min);
  }
};

template <>
struct Unpack<Q3_K> : InOrder<Q3_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q3_K>& unit) {
    const Bytes bits[2] = {load_vector(p), load_vector(p + 16)};
    join<0>(p, bits, unit);
    join<1>(p, bits, unit);
    scale_slices<false>(scales_6(p + 96), 32, halves_f16(p + 108, 0), unit.scale);
  }

 private:
  /// 128 weights; the third bit of their 32 * j-th is bit 4 * h + j.
  template <int h>
  TW_INLINE static void join(const uint8_t* p, const Bytes (&bits)[2], Unit<Q3_K>& unit) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      const Bytes x = load_vector(p + 32 + 32 * h + 16 * half);
      const int v = 8 * h + half;
      code_vector(unit, v) = select(splat_byte(4), shift_bytes<2 - 4 * h>(bits[half]), x & 3);
      code_vector(unit, v + 2) = select(splat_byte(4), shift_bytes<1 - 4 * h>(bits[half]), (x >> 2) & 3);
      code_vector(unit, v + 4) = select(splat_byte(4), shift_bytes<-4 * h>(bits[half]), (x >> 4) & 3);
      code_vector(unit, v + 6) = select(splat_byte(4), shift_bytes<-1 - 4 * h>(bits[half]), x >> 6);
    }
  }
};

template <>
struct Unpack<Q6_K> : InOrder<Q6_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q6_K>& unit) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
      // 16 bytes of top bits belong to four vectors of codes: to low nibbles, then to high ones.
      const Bytes top = load_vector(p + 128 + 16 * i);
      const int v = i / 2 * 8 + i % 2;
      const Bytes x = load_vector(p + i / 2 * 64 + i % 2 * 16);
      const Bytes y = load_vector(p + i / 2 * 64 + i % 2 * 16 + 32);
      code_vector(unit, v) = select(splat_byte(48), top << 4, x & 15);
      code_vector(unit, v + 2) = select(splat_byte(48), top << 2, y & 15);
      code_vector(unit, v + 4) = select(splat_byte(48), top, x >> 4);
      code_vector(unit, v + 6) = select(splat_byte(48), top >> 2, y >> 4);
    }
    scale_slices<true>(load_quad(p + 192), 0, halves_f16(p + 208, 0), unit.scale);
  }
};

template <>
struct Unpack<Q8_K> : InOrder<Q8_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q8_K>& unit) {
#pragma GCC unroll 16
    for (int v = 0; v < 16; v++) code_vector(unit, v) = load_vector(p + 4 + 16 * v);
    unit.scale[0] = unit.scale[1] = halves_f32(p, 0);
  }
};

template <>
struct Unpack<IQ4_XS> : InOrder<IQ4_XS> {
  TW_INLINE static void load(const uint8_t* p, Unit<IQ4_XS>& unit) {
    const Bytes book = code_book<IQ4_XS>(kIq4Values);
#pragma GCC unroll 8
    for (int group = 0; group < 8; group++) {
      const Bytes x = load_vector(p + 8 + 16 * group);
      code_vector(unit, 2 * group) = lookup(book, x & 15);
      code_vector(unit, 2 * group + 1) = lookup(book, x >> 4);
    }
    scale_slices<false>(make_quad(iq4_xs_scales(p + 2), 0), 32, halves_f16(p, 0), unit.scale);
  }
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
