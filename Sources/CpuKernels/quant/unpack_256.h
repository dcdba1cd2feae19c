// Unpacking of the formats with super-blocks of 256 weights.
//
// Several groups share a byte (its low and high bits), so a lane picks its group's bits by a shift of its own. What a
// quad of lanes needs from the same bytes is taken in four (two) vectors with the dwords permuted: lane l of step i
// gets dword l ^ i, which needs no shuffle beyond exchanging dwords and qwords.
#pragma once

#include "unpack_32.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Quad c of the vector comes from p + (c' % 2) * odd + (c' / 2) * pair, c' counting through the slices.
TW_INLINE Bytes slice_quads(const uint8_t* p, int slice, int64_t odd, int64_t pair) {
  const int first = slice * kQuads;
  return load_quads(p + first % 2 * odd + first / 2 * pair, odd, pair);
}

/// Bytes of the groups of a slice in lane order as dwords, from those of all groups of a unit.
template <class F>
struct GroupOrder {
  alignas(64) uint8_t order[Shape<F>::kSlices][kVectorBytes] = {};
  constexpr GroupOrder() {
    for (int slice = 0; slice < Shape<F>::kSlices; slice++) {
      for (int i = 0; i < kVectorBytes; i++) {
        order[slice][i] = static_cast<uint8_t>(i % 4 == 0 ? lane_group<F>(slice, i / 4) : 128);
      }
    }
  }
};
template <class F>
constexpr GroupOrder<F> kGroupOrder{};
template <class F>
TW_INLINE I32 in_lane_order(Quad groups, int slice) {
  return gather_bytes(groups, load_vector(kGroupOrder<F>.order[slice]));
}

/// Bytes of the groups of a slice where lanes are groups in order: eight of each of two super-blocks (of one, of half).
TW_INLINE Quad slice_bytes(uint64_t first, uint64_t second, int slice) {
  return kLanes == 16 ? make_quad(first, second) : make_quad(first >> (kLanes * 8 * slice % 64), 0);
}

/// Lanes of a Q4_K and a Q5_K unit: quad c belongs to 64 weights, whose four groups are the low and high nibbles of
/// 32 bytes twice. Even lanes take low nibbles, odd lanes high ones.
template <class F>
struct Groups32 {
  static constexpr int dword(int slice, int step, int lane) {
    return (slice * kLanes + lane) * 8 + (step ^ (lane & 1));
  }

  struct Nibble {
    static constexpr int at(int lane) { return 4 * (lane & 1); }
  };
  /// Of the nibble's fifth bit, to bit 4.
  struct Fifth {
    static constexpr int at(int lane) { return lane % 8 - 4; }
  };
  /// As above in the second vector of one quad, where lanes are groups 4..7.
  struct FifthOfLast {
    static constexpr int at(int lane) { return lane % 4; }
  };

  TW_INLINE static void scale_and_min(const uint8_t* p, int slice, Unit<F>& unit) {
    const uint8_t* last = p + (Shape<F>::kBlocks - 1) * F::kBytes;
    const Scales6 first = scales_mins_6(p + 4);
    const Scales6 second = scales_mins_6(last + 4);
    unit.scale[slice] = halves_f16(p, F::kBytes) * to_f32(widen_u8(slice_bytes(first.scales, second.scales, slice)));
    unit.min[slice] = halves_f16(p + 2, F::kBytes) * to_f32(widen_u8(slice_bytes(first.mins, second.mins, slice)));
  }

  /// t[w] = dwords 2w and 2w + 1 of the quad's first 32 bytes, then of its second.
  TW_INLINE static void pairs(const uint8_t* qs, int slice, Bytes (&t)[4]) {
    const Bytes a0 = slice_quads(qs, slice, 64, F::kBytes);
    const Bytes a1 = slice_quads(qs + 16, slice, 64, F::kBytes);
    const Bytes b0 = slice_quads(qs + 32, slice, 64, F::kBytes);
    const Bytes b1 = slice_quads(qs + 48, slice, 64, F::kBytes);
    t[0] = zip64_low(a0, b0);
    t[1] = zip64_high(a0, b0);
    t[2] = zip64_low(a1, b1);
    t[3] = zip64_high(a1, b1);
  }
};

template <>
struct Unpack<Q4_K> : Groups32<Q4_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q4_K>& unit) {
#pragma GCC unroll 2
    for (int slice = 0; slice < Shape<Q4_K>::kSlices; slice++) {
      Bytes t[4];
      pairs(p + 16, slice, t);
#pragma GCC unroll 4
      for (int w = 0; w < 4; w++) {
        unit.codes[slice][2 * w] = shift_lanes<Nibble, false>(t[w]) & 15;
        unit.codes[slice][2 * w + 1] = shift_lanes<Nibble, true>(t[w]) & 15;
      }
      scale_and_min(p, slice, unit);
    }
  }
};

template <>
struct Unpack<Q5_K> : Groups32<Q5_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q5_K>& unit) {
#pragma GCC unroll 2
    for (int slice = 0; slice < Shape<Q5_K>::kSlices; slice++) {
      Bytes t[4];
      pairs(p + 48, slice, t);
      // The same 32 bytes for all groups of a super-block; h[w] = dwords 2w and 2w + 1, twice.
      const Bytes first = load_quads(p + 16, 0, sizeof(tw_block_q5_k));
      const Bytes last = load_quads(p + 32, 0, sizeof(tw_block_q5_k));
      const Bytes h[4] = {zip64_low(first, first), zip64_high(first, first), zip64_low(last, last),
                          zip64_high(last, last)};
#pragma GCC unroll 4
      for (int w = 0; w < 4; w++) {
        unit.codes[slice][2 * w] = join<false>(t[w], h[w], slice);
        unit.codes[slice][2 * w + 1] = join<true>(t[w], h[w], slice);
      }
      scale_and_min(p, slice, unit);
    }
  }

 private:
  template <bool kSwap>
  TW_INLINE static Bytes join(Bytes nibbles, Bytes bits, int slice) {
    const Bytes fifth = slice == 0 ? shift_lanes<Fifth, kSwap>(bits) : shift_lanes<FifthOfLast, kSwap>(bits);
    return select(splat_byte(15), shift_lanes<Nibble, kSwap>(nibbles), fifth) & 31;
  }
};

/// Two quads of bytes per half (h) of the super-block's weights; two bits j of a byte belong to group 8h + 2j + a,
/// where a is the quad within the half. Lane j of a quad takes bits j.
template <class F>
struct Crumbs {
  static constexpr int dword(int slice, int step, int lane) {
    const int quad = slice * kQuads + lane / 4;
    return (quad / 2 * 8 + lane % 4 * 2 + quad % 2) * 4 + (lane % 4 ^ step);
  }
  struct Crumb {
    static constexpr int at(int lane) { return 2 * (lane % 4); }
  };
  /// The third bit, bit 4h + j of a byte, to bit 2.
  template <int half>
  struct Third {
    static constexpr int at(int lane) { return 4 * (half + lane / 8) + lane % 4 - 2; }
  };
};

template <>
struct Unpack<Q2_K> : Crumbs<Q2_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q2_K>& unit) {
    const Quad scales = load_quad(p);
    const F32 d = splat_f16(p + 80);
    const F32 dmin = splat_f16(p + 82);
#pragma GCC unroll 4
    for (int slice = 0; slice < Shape<Q2_K>::kSlices; slice++) {
      Bytes x = load_vector(p + 16 + slice * kVectorBytes);
      keep(x);
      const Bytes y = swap_qwords(x);
      unit.codes[slice][0] = shift_lanes<Crumb, false>(x) & 3;
      unit.codes[slice][1] = shift_lanes<Crumb, true>(x) & 3;
      unit.codes[slice][2] = shift_lanes<Crumb, false>(y) & 3;
      unit.codes[slice][3] = shift_lanes<Crumb, true>(y) & 3;
      const I32 both = in_lane_order<Q2_K>(scales, slice);
      unit.scale[slice] = d * to_f32(both & 15);
      unit.min[slice] = dmin * to_f32(both >> 4);
    }
  }
};

template <>
struct Unpack<Q3_K> : Crumbs<Q3_K> {
  TW_INLINE static void load(const uint8_t* p, Unit<Q3_K>& unit) {
    const Quad scales = scales_6(p + 96);
    const F32 d = splat_f16(p + 108);
#pragma GCC unroll 4
    for (int slice = 0; slice < Shape<Q3_K>::kSlices; slice++) {
      Bytes x = load_vector(p + 32 + slice * kVectorBytes);
      keep(x);
      const Bytes y = swap_qwords(x);
      const Bytes hx = repeat_pair(p, slice);
      const Bytes hy = swap_qwords(hx);
      unit.codes[slice][0] = join<false>(x, hx, slice);
      unit.codes[slice][1] = join<true>(x, hx, slice);
      unit.codes[slice][2] = join<false>(y, hy, slice);
      unit.codes[slice][3] = join<true>(y, hy, slice);
      unit.scale[slice] = d * to_f32(in_lane_order<Q3_K>(scales, slice) - 32);
    }
  }

 private:
  template <bool kSwap>
  TW_INLINE static Bytes join(Bytes crumbs, Bytes bits, int slice) {
    const Bytes third = slice * kQuads < 2 ? shift_lanes<Third<0>, kSwap>(bits) : shift_lanes<Third<1>, kSwap>(bits);
    return select(splat_byte(3), shift_lanes<Crumb, kSwap>(crumbs), third) & 7;
  }
};

template <>
struct Unpack<Q6_K> {
  // Quad c holds the groups that share bytes with group c: c and 4 + c of either half (h), low and high nibbles.
  static constexpr int dword(int slice, int step, int lane) {
    const int quad = slice * kQuads + lane / 4;
    return (lane / 2 % 2 * 8 + lane % 2 * 4 + quad) * 4 + (lane % 2 ^ step);
  }

  TW_INLINE static void load(const uint8_t* p, Unit<Q6_K>& unit) {
    const Quad scales = load_quad(p + 192);
    const F32 d = splat_f16(p + 208);
#pragma GCC unroll 4
    for (int slice = 0; slice < Shape<Q6_K>::kSlices; slice++) {
      const Bytes low0 = load_vector(p + slice * kVectorBytes);
      const Bytes low1 = load_vector(p + 64 + slice * kVectorBytes);
      const Bytes high0 = repeat_pair(p + 128, slice);
      const Bytes high1 = repeat_pair(p + 160, slice);
      const Bytes t[2] = {zip64_low(low0, low1), zip64_high(low0, low1)};
      const Bytes u[2] = {zip64_low(high0, high1), zip64_high(high0, high1)};
#pragma GCC unroll 2
      for (int w = 0; w < 2; w++) {
        unit.codes[slice][2 * w] = join<false>(t[w], u[w], slice);
        unit.codes[slice][2 * w + 1] = join<true>(t[w], u[w], slice);
      }
      unit.scale[slice] = d * to_f32(in_lane_order<Q6_K>(scales, slice) << 24 >> 24);
    }
  }

 private:
  struct Nibble {
    static constexpr int at(int lane) { return 4 * (lane % 2); }
  };
  /// The top two bits, bits 4 * (high nibble) + 2 * (c / 2) of a byte, to bits 4 and 5; `pair` is c / 2 of lane 0.
  template <int pair>
  struct Top {
    static constexpr int at(int lane) { return 4 * (lane % 2) + 2 * (pair + lane / 8) - 4; }
  };
  template <bool kSwap>
  TW_INLINE static Bytes join(Bytes nibbles, Bytes crumbs, int slice) {
    const Bytes top = slice * kQuads < 2 ? shift_lanes<Top<0>, kSwap>(crumbs) : shift_lanes<Top<1>, kSwap>(crumbs);
    return select(splat_byte(15), shift_lanes<Nibble, kSwap>(nibbles), top) & 63;
  }
};

/// Groups of 32 codes in 32 bytes; lanes are groups, in order.
template <>
struct Unpack<Q8_K> {
  static constexpr int dword(int slice, int step, int lane) { return (slice * kLanes + lane) * 8 + step; }

  TW_INLINE static void load(const uint8_t* p, Unit<Q8_K>& unit) {
    constexpr int bytes = sizeof(tw_block_q8_k);
#pragma GCC unroll 2
    for (int slice = 0; slice < Shape<Q8_K>::kSlices; slice++) {
      const uint8_t* qs = p + 4 + slice * kQuads * 128;
      Bytes* codes = unit.codes[slice];
      transpose_quads(qs, 32, 128, bytes, codes);
      transpose_quads(qs + 16, 32, 128, bytes, codes + 4);
      for (int step = 0; step < 8; step++) codes[step] ^= static_cast<uint8_t>(kWideOffset);
      unit.scale[slice] = halves_f32(p, (Shape<Q8_K>::kBlocks - 1) * bytes);
    }
  }
};

/// Groups of 32 codes in 16 bytes. Lane 4c + v is group kQuads * v + c of a slice: vectors v are read as they lie.
template <>
struct Unpack<IQ4_XS> {
  static constexpr int dword(int slice, int step, int lane) {
    return (slice * kLanes + kQuads * (lane % 4) + lane / 4) * 8 + step;
  }

  TW_INLINE static void load(const uint8_t* p, Unit<IQ4_XS>& unit) {
    constexpr int bytes = sizeof(tw_block_iq4_xs);
    const Bytes book = code_book<IQ4_XS>(kIq4Values);
    const uint64_t first = iq4_xs_scales(p + 2);
    const uint64_t second = iq4_xs_scales(p + (Shape<IQ4_XS>::kBlocks - 1) * bytes + 2);
#pragma GCC unroll 2
    for (int slice = 0; slice < Shape<IQ4_XS>::kSlices; slice++) {
      const uint8_t* qs = p + 8 + slice * kLanes * 16;
      // The second half of the vectors lies in the second super-block where there is one.
      const uint8_t* last = qs + (Shape<IQ4_XS>::kBlocks == 2 ? bytes - 2 * kVectorBytes : 0);
      const Bytes x0 = load_vector(qs);
      const Bytes x1 = load_vector(qs + kVectorBytes);
      const Bytes x2 = load_vector(last + 2 * kVectorBytes);
      const Bytes x3 = load_vector(last + 3 * kVectorBytes);
      const Bytes low01 = zip32_low(x0, x1);
      const Bytes low23 = zip32_low(x2, x3);
      const Bytes high01 = zip32_high(x0, x1);
      const Bytes high23 = zip32_high(x2, x3);
      const Bytes t[4] = {zip64_low(low01, low23), zip64_high(low01, low23), zip64_low(high01, high23),
                          zip64_high(high01, high23)};
#pragma GCC unroll 4
      for (int i = 0; i < 4; i++) {
        unit.codes[slice][i] = lookup(book, t[i] & 15);
        unit.codes[slice][4 + i] = lookup(book, shift_right(t[i], 4) & 15);
      }
      const I32 scales = in_lane_order<IQ4_XS>(make_quad(first, second), slice) - 32;
      unit.scale[slice] = pairs_f16(p, (Shape<IQ4_XS>::kBlocks - 1) * bytes) * to_f32(scales);
    }
  }
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
