// Panels: unpacked weights whose lanes are rows.
//
// A panel holds kVectors * kLanes rows. Per group of weights it has kSteps vectors of codes for each kLanes rows (step
// s: dword s of the group), then the rows' scales, then their mins. kLanes rows of a format are unpacked at a time: 16
// bytes of each are transposed as dwords while they are still packed, so a transposed vector gives the codes of several
// groups.
#pragma once

#include "scales.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Bytes of a group in a panel of kVectors * kLanes rows.
template <int kVectors>
constexpr int64_t panel_group_bytes(int steps) {
  return static_cast<int64_t>(steps + 2) * kVectors * kVectorBytes;
}

/// Where kLanes rows of one block go.
template <class F, int kVectors>
struct PanelBlock {
  static constexpr int kSteps = F::kGroup / 4;
  uint8_t* p;

  TW_INLINE void code(int group, int step, Bytes x) const { put(group, step, x); }
  TW_INLINE void scale(int group, F32 x) const { put(group, kSteps, (Bytes)x); }
  TW_INLINE void min(int group, F32 x) const { put(group, kSteps + 1, (Bytes)x); }

 private:
  TW_INLINE void put(int group, int vector, Bytes x) const {
    store_vector(p + group * panel_group_bytes<kVectors>(kSteps) + vector * kVectors * kVectorBytes, x);
  }
};

/// t[i] = dword i of the 16 bytes at p of every row.
TW_INLINE void transpose_rows(const uint8_t* p, int64_t stride, Bytes* t) {
  transpose_quads(p, stride, 4 * stride, 8 * stride, t);
}
/// Byte i of every lane.
TW_INLINE I32 byte_of(U32 x, int i) {
  return (I32)(i == 3 ? x >> 24 : x >> (8 * i) & 0xff);
}

/// Unpacks one block of kLanes rows, `stride` bytes apart: all scales and mins by begin(), then the codes in kParts
/// parts, in order, of as many groups each.
template <class F>
struct PanelRows;

// -------------------------------------------------------------------------------------------------- blocks of 32

/// Nibbles at p: byte j holds codes j (low) and 16 + j (high), or their indices in a code book.
template <bool kLookUp, class F, int kVectors>
TW_INLINE void put_nibbles(const uint8_t* p, int64_t stride, int group, Bytes book,
                           const PanelBlock<F, kVectors>& out) {
  Bytes t[4];
  transpose_rows(p, stride, t);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    const Bytes low = t[i] & 15;
    const Bytes high = shift_right(t[i], 4) & 15;
    out.code(group, i, kLookUp ? lookup(book, low) : low);
    out.code(group, 4 + i, kLookUp ? lookup(book, high) : high);
  }
}
template <class F, int kVectors>
TW_INLINE void put_codes(const uint8_t* p, int64_t stride, const PanelBlock<F, kVectors>& out) {
  put_nibbles<false>(p, stride, 0, Bytes{}, out);
}
template <class F, int kVectors>
TW_INLINE void put_indices(const uint8_t* p, int64_t stride, int group, Bytes book,
                           const PanelBlock<F, kVectors>& out) {
  put_nibbles<true>(p, stride, group, book, out);
}
/// As above with a fifth bit: bit j of `bits` for code j.
template <class F, int kVectors>
TW_INLINE void put_nibbles_and_bits(const uint8_t* p, int64_t stride, U32 bits, const PanelBlock<F, kVectors>& out) {
  Bytes t[4];
  transpose_rows(p, stride, t);
  out.code(0, 0, (t[0] & 15) | spread_bits<0>(bits));
  out.code(0, 1, (t[1] & 15) | spread_bits<4>(bits));
  out.code(0, 2, (t[2] & 15) | spread_bits<8>(bits));
  out.code(0, 3, (t[3] & 15) | spread_bits<12>(bits));
  out.code(0, 4, (shift_right(t[0], 4) & 15) | spread_bits<16>(bits));
  out.code(0, 5, (shift_right(t[1], 4) & 15) | spread_bits<20>(bits));
  out.code(0, 6, (shift_right(t[2], 4) & 15) | spread_bits<24>(bits));
  out.code(0, 7, (shift_right(t[3], 4) & 15) | spread_bits<28>(bits));
}
/// The header of the formats with a min: the halves d and m.
template <class F, int kVectors>
TW_INLINE void put_scale_and_min(const uint8_t* p, int64_t stride, const PanelBlock<F, kVectors>& out) {
  const U32 header = lanes_u32(p, stride);
  out.scale(0, narrow_f16(header));
  out.min(0, -narrow_f16(header >> 16));
}
/// 32 codes of a byte each.
template <class F, int kVectors>
TW_INLINE void put_bytes(const uint8_t* p, int64_t stride, int group, const PanelBlock<F, kVectors>& out) {
  Bytes t[8];
  transpose_rows(p, stride, t);
  transpose_rows(p + 16, stride, t + 4);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) out.code(group, i, t[i] ^ static_cast<uint8_t>(kWideOffset));
}

/// The formats with blocks of 32 are one group, hence one part.
struct OnePart {
  static constexpr int kParts = 1;
};

template <>
struct PanelRows<Q4_0> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    out.scale(0, lanes_f16(p, stride));
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_codes(p + 2, stride, out);
  }
};
template <>
struct PanelRows<Q4_1> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    put_scale_and_min(p, stride, out);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_codes(p + 4, stride, out);
  }
};
template <>
struct PanelRows<Q5_0> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    out.scale(0, lanes_f16(p, stride));
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_nibbles_and_bits(p + 6, stride, lanes_u32(p + 2, stride), out);
  }
};
template <>
struct PanelRows<Q5_1> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    put_scale_and_min(p, stride, out);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_nibbles_and_bits(p + 8, stride, lanes_u32(p + 4, stride), out);
  }
};
template <>
struct PanelRows<Q8_0> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    out.scale(0, lanes_f16(p, stride));
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_bytes(p + 2, stride, 0, out);
  }
};
template <>
struct PanelRows<IQ4_NL> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    out.scale(0, lanes_f16(p, stride));
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_indices(p + 2, stride, 0, code_book<IQ4_NL>(kIq4Values), out);
  }
};
template <>
struct PanelRows<MXFP4> : OnePart {
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    out.scale(0, e8m0_half(lanes_u8(p, stride)));
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int, const Out& out) {
    put_indices(p + 1, stride, 0, code_book<MXFP4>(kE2m1Doubled), out);
  }
};

// ------------------------------------------------------------------------------------------------- super-blocks of 256

/// t[i] = dword i of the 32 bytes at p of every row.
TW_INLINE void transpose_rows_32(const uint8_t* p, int64_t stride, Bytes (&t)[8]) {
  transpose_rows(p, stride, t);
  transpose_rows(p + 16, stride, t + 4);
}
/// Bits to the left, those of the next byte come in.
TW_INLINE Bytes shift_left(Bytes x, int bits) {
  return (Bytes)((U32)x << bits);
}

/// Q4_K's and Q5_K's header: d, dmin and 12 bytes of scales and mins, as unpack_scales_mins_6.
template <class F, int kVectors>
TW_INLINE void put_scales_and_mins(const uint8_t* p, int64_t stride, const PanelBlock<F, kVectors>& out) {
  Bytes t[4];
  transpose_rows(p, stride, t);
  const F32 d = narrow_f16((U32)t[0]);
  const F32 dmin = narrow_f16((U32)t[0] >> 16);
  const U32 a = (U32)t[1];
  const U32 b = (U32)t[2];
  const U32 c = (U32)t[3];
  const U32 scales[2] = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)};
  const U32 mins[2] = {b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
#pragma GCC unroll 8
  for (int g = 0; g < 8; g++) {
    out.scale(g, d * to_f32(byte_of(scales[g / 4], g % 4)));
    out.min(g, dmin * to_f32(byte_of(mins[g / 4], g % 4)));
  }
}

/// A part is two groups: the low and the high nibbles of 32 bytes.
template <>
struct PanelRows<Q4_K> {
  static constexpr int kParts = 4;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    put_scales_and_mins(p, stride, out);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    Bytes t[8];
    transpose_rows_32(p + 16 + 32 * part, stride, t);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      out.code(2 * part, i, t[i] & 15);
      out.code(2 * part + 1, i, shift_right(t[i], 4) & 15);
    }
  }
};

template <>
struct PanelRows<Q5_K> {
  static constexpr int kParts = 4;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    put_scales_and_mins(p, stride, out);
    transpose_rows_32(p + 16, stride, fifth);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    Bytes t[8];
    transpose_rows_32(p + 48 + 32 * part, stride, t);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      out.code(2 * part, i, select(splat_byte(16), shift_left(fifth[i], 4), t[i] & 15));
      out.code(2 * part + 1, i, select(splat_byte(16), shift_left(fifth[i], 3), shift_right(t[i], 4) & 15));
      fifth[i] = shift_right(fifth[i], 2);
    }
  }

 private:
  /// Bits 0 and 1 of byte j are the fifth bits of codes j of the part's groups.
  Bytes fifth[8];
};

/// A part is half of the weights: two bits j of byte b are code b of the half's codes 32 j.
template <>
struct PanelRows<Q2_K> {
  static constexpr int kParts = 2;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    Bytes scales[4];
    transpose_rows(p, stride, scales);
    const U32 header = lanes_u32(p + 80, stride);
    const F32 d = narrow_f16(header);
    const F32 dmin = narrow_f16(header >> 16);
#pragma GCC unroll 16
    for (int g = 0; g < 16; g++) {
      out.scale(g, d * to_f32(byte_of((U32)(scales[g / 4] & 15), g % 4)));
      out.min(g, dmin * to_f32(byte_of((U32)(shift_right(scales[g / 4], 4) & 15), g % 4)));
    }
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    Bytes t[8];
    transpose_rows_32(p + 16 + 32 * part, stride, t);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) out.code(part * 8 + 2 * j + i / 4, i % 4, shift_right(t[i], 2 * j) & 3);
    }
  }
};

template <>
struct PanelRows<Q3_K> {
  static constexpr int kParts = 2;
  /// Scales as unpack_scales_6; the 12 bytes are the last of the 16 that are transposed.
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    Bytes t[4];
    transpose_rows(p + 92, stride, t);
    const F32 d = lanes_f16(p + 108, stride);
    const U32 a = (U32)t[1];
    const U32 b = (U32)t[2];
    const U32 top = (U32)t[3];
    const U32 scales[4] = {(a & 0x0f0f0f0f) | (top << 4 & 0x30303030), (b & 0x0f0f0f0f) | (top << 2 & 0x30303030),
                           (a >> 4 & 0x0f0f0f0f) | (top & 0x30303030), (b >> 4 & 0x0f0f0f0f) | (top >> 2 & 0x30303030)};
#pragma GCC unroll 16
    for (int g = 0; g < 16; g++) out.scale(g, d * to_f32(byte_of(scales[g / 4], g % 4) - 32));
    transpose_rows_32(p, stride, third);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    Bytes t[8];
    transpose_rows_32(p + 32 + 32 * part, stride, t);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++) {
        const Bytes top = j < 2 ? shift_left(third[i], 2 - j) : shift_right(third[i], j - 2);
        out.code(part * 8 + 2 * j + i / 4, i % 4, select(splat_byte(4), top, shift_right(t[i], 2 * j) & 3));
      }
      third[i] = shift_right(third[i], 4);
    }
  }

 private:
  /// Bit j of byte b is the third bit of what q2_k has in the two bits j.
  Bytes third[8];
};

/// A part is half of the weights: 64 bytes hold codes 0..63 in low and 64..127 in high nibbles, 32 bytes the top bits
/// of codes 32 j in their two bits j.
template <>
struct PanelRows<Q6_K> {
  static constexpr int kParts = 2;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    Bytes scales[4];
    transpose_rows(p + 192, stride, scales);
    const F32 d = lanes_f16(p + 208, stride);
#pragma GCC unroll 16
    for (int g = 0; g < 16; g++) {
      out.scale(g, d * to_f32((I32)((U32)scales[g / 4] << (24 - 8 * (g % 4))) >> 24));
    }
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    Bytes top[8];
    transpose_rows_32(p + 128 + 32 * part, stride, top);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
      Bytes t[8];
      transpose_rows_32(p + 64 * part + 32 * half, stride, t);
#pragma GCC unroll 8
      for (int i = 0; i < 8; i++) {
        const Bytes first = shift_left(top[i], half == 0 ? 4 : 2);
        const Bytes second = half == 0 ? top[i] : shift_right(top[i], 2);
        const int group = part * 8 + half * 2 + i / 4;
        out.code(group, i % 4, select(splat_byte(48), first, t[i] & 15));
        out.code(group + 4, i % 4, select(splat_byte(48), second, shift_right(t[i], 4) & 15));
      }
    }
  }
};

/// A part is a group.
template <>
struct PanelRows<Q8_K> {
  static constexpr int kParts = 8;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    const F32 d = (F32)lanes_u32(p, stride);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) out.scale(g, d);
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    put_bytes(p + 4 + 32 * part, stride, part, out);
  }
};

/// A part is a group.
template <>
struct PanelRows<IQ4_XS> {
  static constexpr int kParts = 8;
  template <class Out>
  TW_INLINE void begin(const uint8_t* p, int64_t stride, const Out& out) {
    const U32 header = lanes_u32(p, stride);   // d, and two bits per group
    const U32 low = lanes_u32(p + 4, stride);  // four bits per group
    const U32 top = header >> 12 & 0xffff0;
    const F32 d = narrow_f16(header);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
      out.scale(g, d * to_f32((I32)((low >> (4 * g) & 15) | (top >> (2 * g) & 0x30)) - 32));
    }
  }
  template <class Out>
  TW_INLINE void part(const uint8_t* p, int64_t stride, int part, const Out& out) {
    put_indices(p + 8 + 16 * part, stride, part, code_book<IQ4_XS>(kIq4Values), out);
  }
};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
