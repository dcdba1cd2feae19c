// How the tiled GEMV (common/gemv_tile.h) decodes a row: 256 weights of it are in LDS, and the four lanes that share it
// take word `slot` of each 16 codes. What codes, scales and mins mean is in format.h; codes of 3 and 5 bits have their
// sign in the top bit of the byte, too.
//
//   load(bytes)        what a lane keeps of the whole row
//   pair(bytes, r, to) units 2r and 2r + 1 of eight: a unit has two words, of the first and of the second run of a
//   part,
//                      with one scale or, where `halves` is true, two. Where `shared` is true, its words are of the
//                      first runs of parts 2r and 2r + 1 or, for the second unit, of their second runs
//   tables             codes are sums of `codes` and `more`, in the order of the nibbles: the first two weights of both
//   runs
//                      in turn, then the next two
//   whole              codes are multiplied by what scales they have, and `d` is the scale of the row
//   mins(bytes, to)    (where `matrix_mins` is true) two pairs of mins as bfloat16, in the order of records 4 * slot to
//                      4 * slot + 3; `dmin` is their scale
#pragma once
#include "formats.h"

namespace tw {

/// A row of bytes in LDS, from any multiple of `Align` on: its words, and those that stand `slot` words later. A word
/// that is not aligned takes two: the one with its first byte and the next one or, with `Back`, the one with its last
/// byte and the one before. So none is read outside of the row.
template <u32 Align, bool Back = false>
struct TileBytes {
  const u8 *row, *own;
  u32 low, slot;
  TW_MEMBER TileBytes() = default;
  TW_MEMBER TileBytes(const u8* staged, u32 at, u32 slot) : low(Align >= 4 ? 0 : at % 4), slot(slot) {
    row = staged + (at - low);
    own = row + 4 * slot;
  }
  /// Bytes are constants, and so is all but `low` of what is made of them.
  TW_MEMBER u32 at(const u8* from, u32 byte) const {
    if (Align >= 4) return load_u32<4>(from, byte);
    const u32 back = Back ? 1 : 0, odd = low + (byte - back) % 4;
    const u8* words = from + (odd & 4u);
    const u32 first = (byte - back) / 4 * 4;
    const u64 both = u64(load_u32<4>(words, first + 4)) << 32 | load_u32<4>(words, first);
    return u32(both >> (odd % 4 + back) * 8);
  }
  TW_MEMBER u32 word(u32 byte) const { return at(row, byte); }
  TW_MEMBER u32 own_word(u32 byte) const { return at(own, byte); }
  TW_MEMBER u32 half(u32 byte) const { return load_u16<2>(row, low + byte); }
  TW_MEMBER u32 byte(u32 byte) const { return load_u8(row, low + byte); }
};

struct TilePair {
  u32 codes[2][2], more[2][2];
  float scale[2][2], min[2][2];
};

/// What all scales are multiplied by in the end.
template <class F>
constexpr float tile_factor = 1.0f;
template <>
constexpr float tile_factor<Q4_0> = 0.0625f;
template <>
constexpr float tile_factor<Q5_0> = 0.125f;

template <class F>
struct TileRow;

/// Formats with blocks of 32 weights: nothing is of the whole row.
template <class F>
struct TileBlocks {
  enum : bool { shared = false, halves = false, tables = false, whole = false, matrix_mins = false };
  typedef TileBytes<F::align, true> Bytes;
  TW_MEMBER void load(const Bytes&) {}
};
/// Bytes of x and y in turn: the first two of both, or the next two.
TW_DEVICE u32 tile_turns(u32 x, u32 y, u32 next) {
  return permute_bytes(x, y, next == 0 ? 0x05010400u : 0x07030602u);
}
TW_DEVICE void tile_nibbles(u32 word, u32 codes[2]) {
  codes[0] = word & 0x0f0f0f0fu;
  codes[1] = word >> 4 & 0x0f0f0f0fu;
}
/// Entries of nibbles in their order. NVIDIA's of the first half of the table and of the second one, see halves().
template <class T>
TW_DEVICE void tile_tables(u32 word, u32 codes[2], u32 more[2]) {
#if defined(TW_NVIDIA)
  constexpr Halves t = halves(T::table);
  TW_UNROLL for (u32 i = 0; i < 2; i++) {
    codes[i] = __nvvm_prmt(t.low[0], t.low[1], word >> 16 * i);
    more[i] = __nvvm_prmt(t.high[0], t.high[1], (word ^ 0x88888888u) >> 16 * i);
  }
#else
  u32 low, high;
  look_up_nibbles<T>(word, low, high);
  codes[0] = tile_turns(low, high, 0);
  codes[1] = tile_turns(low, high, 1);
  more[0] = more[1] = 0;
#endif
}
/// Four bits to the lowest, or the highest, of four bytes.
TW_DEVICE u32 tile_fifths(u32 bits, u32 at) {
  return (bits & 0xfu) * (0x204081u << at) & (0x01010101u << at);
}

template <>
struct TileRow<Q4_0> : TileBlocks<Q4_0> {
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * Q4_0::bytes, word = bytes.own_word(block + 2);
      to.codes[u][0] = (word << 4 & 0xf0f0f0f0u) ^ 0x80808080u;
      to.codes[u][1] = (word & 0xf0f0f0f0u) ^ 0x80808080u;
      to.scale[u][0] = from_f16(bytes.half(block));
    }
  }
};
template <>
struct TileRow<Q4_1> : TileBlocks<Q4_1> {
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * Q4_1::bytes, head = bytes.word(block);
      tile_nibbles(bytes.own_word(block + 4), to.codes[u]);
      to.scale[u][0] = from_f16(head & 0xffffu);
      to.min[u][0] = -from_f16(head >> 16);
    }
  }
};
template <>
struct TileRow<Q5_0> : TileBlocks<Q5_0> {
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * Q5_0::bytes, word = bytes.own_word(block + 6);
      const u32 plane = ~bytes.word(block + 2) >> 4 * bytes.slot;
      to.codes[u][0] = (word << 3 & 0x78787878u) | tile_fifths(plane, 7);
      to.codes[u][1] = (word >> 1 & 0x78787878u) | tile_fifths(plane >> 16, 7);
      to.scale[u][0] = from_f16(bytes.half(block));
    }
  }
};
template <>
struct TileRow<Q5_1> : TileBlocks<Q5_1> {
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * Q5_1::bytes, head = bytes.word(block), word = bytes.own_word(block + 8);
      const u32 plane = bytes.word(block + 4) >> 4 * bytes.slot;
      to.codes[u][0] = (word & 0x0f0f0f0fu) | tile_fifths(plane, 4);
      to.codes[u][1] = (word >> 4 & 0x0f0f0f0fu) | tile_fifths(plane >> 16, 4);
      to.scale[u][0] = from_f16(head & 0xffffu);
      to.min[u][0] = -from_f16(head >> 16);
    }
  }
};
template <>
struct TileRow<Q8_0> : TileBlocks<Q8_0> {
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * Q8_0::bytes;
      to.codes[u][0] = bytes.own_word(block + 2);
      to.codes[u][1] = bytes.own_word(block + 18);
      to.scale[u][0] = from_f16(bytes.half(block));
    }
  }
};
template <>
struct TileRow<IQ4_NL> : TileBlocks<IQ4_NL> {
  enum : bool { tables = true };
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * IQ4_NL::bytes;
      tile_tables<Iq4>(bytes.own_word(block + 2), to.codes[u], to.more[u]);
      to.scale[u][0] = from_f16(bytes.half(block));
    }
  }
};
template <>
struct TileRow<MXFP4> : TileBlocks<MXFP4> {
  enum : bool { tables = true };
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 block = (2 * r + u) * MXFP4::bytes, e = bytes.byte(block);
      tile_tables<E2m1>(bytes.own_word(block + 1), to.codes[u], to.more[u]);
      // 2^(e - 128): half of the power of two that has e as its exponent, or that below the normal ones.
      to.scale[u][0] = 0.5f * bits_as<float>(e == 0 ? 0x00400000u : e << 23);
    }
  }
};

/// Scales are 4 * (sc - 32) as bytes, of even and of odd parts.
template <>
struct TileRow<IQ4_XS> {
  enum : bool { shared = false, halves = false, tables = true, whole = false, matrix_mins = false };
  typedef TileBytes<IQ4_XS::align> Bytes;
  u32 scales[2];
  float d;
  TW_MEMBER void load(const Bytes& from) {
    const u32 head = from.word(0), low = from.word(4);
    d = 0.25f * from_f16(head & 0xffffu);
    // A nibble of two parts' top pairs in each byte.
    u32 top = (head >> 16 | (head >> 8 & 0xffff00u)) & 0x00ff00ffu;
    top = (top | top << 4) & 0x0f0f0f0fu;
    scales[0] = ((low << 2 & 0x3c3c3c3cu) | (top << 6 & 0xc0c0c0c0u)) ^ 0x80808080u;
    scales[1] = ((low >> 2 & 0x3c3c3c3cu) | (top << 4 & 0xc0c0c0c0u)) ^ 0x80808080u;
  }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      tile_tables<Iq4>(bytes.own_word(8 + 16 * (2 * r + u)), to.codes[u], to.more[u]);
      to.scale[u][0] = d * signed_byte(scales[u], r);
    }
  }
};

template <>
struct TileRow<Q8_K> {
  enum : bool { shared = false, halves = false, tables = false, whole = true, matrix_mins = false };
  typedef TileBytes<Q8_K::align> Bytes;
  float d;
  TW_MEMBER void load(const Bytes& from) { d = bits_as<float>(from.word(0)); }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      to.codes[u][0] = bytes.own_word(4 + 32 * (2 * r + u));
      to.codes[u][1] = bytes.own_word(20 + 32 * (2 * r + u));
    }
  }
};

/// Scales and mins of Q4_K and Q5_K, as bytes: of sub-blocks 0..3 and 4..7.
struct TileK4Head {
  u32 scales[2], mins[2];
  float d, dmin;
  TW_MEMBER void load(const u8* block) {
    const u32x4 head = *(const u32x4*)block;
    d = from_f16(head.x & 0xffffu);
    dmin = from_f16(head.x >> 16);
    scales[0] = head.y & 0x3f3f3f3fu;
    mins[0] = head.z & 0x3f3f3f3fu;
    scales[1] = (head.w & 0x0f0f0f0fu) | (head.y >> 2 & 0x30303030u);
    mins[1] = (head.w >> 4 & 0x0f0f0f0fu) | (head.z >> 2 & 0x30303030u);
  }
  TW_MEMBER void pair(u32 r, TilePair& to) const {
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 i = 2 * r + u;
      to.scale[u][0] = d * unsigned_byte(scales[i / 4], i % 4);
      to.min[u][0] = dmin * unsigned_byte(mins[i / 4], i % 4);
    }
  }
};
template <>
struct TileRow<Q4_K> {
  enum : bool { shared = true, halves = false, tables = false, whole = false, matrix_mins = false };
  typedef TileBytes<Q4_K::align> Bytes;
  TileK4Head head;
  TW_MEMBER void load(const Bytes& from) { head.load(from.row); }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    head.pair(r, to);
    TW_UNROLL for (u32 w = 0; w < 2; w++) {
      const u32 word = bytes.own_word(16 + 32 * r + 16 * w);
      to.codes[0][w] = word & 0x0f0f0f0fu;
      to.codes[1][w] = word >> 4 & 0x0f0f0f0fu;
    }
  }
};
template <>
struct TileRow<Q5_K> {
  enum : bool { shared = true, halves = false, tables = false, whole = false, matrix_mins = false };
  typedef TileBytes<Q5_K::align> Bytes;
  TileK4Head head;
  u32 planes[2];
  TW_MEMBER void load(const Bytes& from) {
    head.load(from.row);
    planes[0] = from.own_word(16);
    planes[1] = from.own_word(32);
  }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    head.pair(r, to);
    TW_UNROLL for (u32 w = 0; w < 2; w++) {
      const u32 word = bytes.own_word(48 + 32 * r + 16 * w);
      TW_UNROLL for (u32 u = 0; u < 2; u++) {
        const u32 bit = 2 * r + u, fifth = bit < 4 ? planes[w] << (4 - bit) : planes[w] >> (bit - 4);
        to.codes[u][w] = bit_select(0x0f0f0f0fu, word >> 4 * u, fifth) & 0x1f1f1f1fu;
      }
    }
  }
};

/// Codes are q * sc, at most 45: four products at once.
template <>
struct TileRow<Q2_K> {
  enum : bool { shared = true, halves = false, tables = false, whole = true, matrix_mins = true };
  typedef TileBytes<Q2_K::align> Bytes;
  float d, dmin;
  TW_MEMBER void load(const Bytes& from) {
    const u32 head = from.word(80);
    d = from_f16(head & 0xffffu);
    dmin = from_f16(head >> 16);
  }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    const u32 scales = bytes.word(4 * r) & 0x0f0f0f0fu;
    TW_UNROLL for (u32 w = 0; w < 2; w++) {
      const u32 word = bytes.own_word(16 + 32 * (r / 2) + 16 * w);
      TW_UNROLL for (u32 u = 0; u < 2; u++) {
        to.codes[u][w] =
            (word >> (4 * (r % 2) + 2 * u) & 0x03030303u) * permute_bytes(scales, 0, 0x04040400u + w + 2 * u);
      }
    }
  }
  TW_MEMBER void mins(const Bytes& bytes, u32 to[2]) const {
    const u32 four = bytes.own_word(0) >> 4 & 0x0f0f0f0fu;
    TW_UNROLL for (u32 i = 0; i < 2; i++) to[i] = pack_bf16(unsigned_byte(four, i), unsigned_byte(four, i + 2));
  }
};
/// Codes are (q - 4) * (32 - sc), from -128 to 124: four products at once, above 128 so that none borrows from the
/// next.
template <>
struct TileRow<Q3_K> {
  enum : bool { shared = true, halves = false, tables = false, whole = true, matrix_mins = false };
  typedef TileBytes<Q3_K::align> Bytes;
  u32 planes[2], low[2], top;
  float d;
  TW_MEMBER void load(const Bytes& from) {
    top = from.word(104);
    TW_UNROLL for (u32 w = 0; w < 2; w++) {
      planes[w] = from.own_word(16 * w);
      low[w] = from.word(96 + 4 * w);
    }
    d = -from_f16(from.half(108));
  }
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    const u32 six = (low[r % 2] >> 4 * (r / 2) & 0x0f0f0f0fu) | (top >> 2 * r & 0x03030303u) << 4;
    TW_UNROLL for (u32 w = 0; w < 2; w++) {
      const u32 word = bytes.own_word(32 + 32 * (r / 2) + 16 * w);
      TW_UNROLL for (u32 u = 0; u < 2; u++) {
        const u32 bit = 2 * r + u, third = bit < 2 ? planes[w] << (2 - bit) : planes[w] >> (bit - 2);
        const u32 q = (word >> (4 * (r % 2) + 2 * u) & 0x03030303u) | (third & 0x04040404u);
        const u32 scale = 32 - permute_bytes(six, 0, 0x04040400u + w + 2 * u);
        to.codes[u][w] = (q * scale + (0x80808080u - scale * 0x04040404u)) ^ 0x80808080u;
      }
    }
  }
};
template <>
struct TileRow<Q6_K> {
  enum : bool { shared = false, halves = true, tables = false, whole = false, matrix_mins = false };
  typedef TileBytes<Q6_K::align> Bytes;
  float d;
  TW_MEMBER void load(const Bytes& from) { d = 0.25f * from_f16(from.half(208)); }
  /// Codes are 4 * (q - 32).
  TW_MEMBER void pair(const Bytes& bytes, u32 r, TilePair& to) const {
    const u32 scales[2] = {bytes.word(192 + 8 * (r / 2)), bytes.word(196 + 8 * (r / 2))};
    TW_UNROLL for (u32 u = 0; u < 2; u++) {
      const u32 word = bytes.own_word(16 * (2 * r + u)), pair = 2 * (r % 2);
      const u32 pairs = bytes.own_word(128 + 32 * (r / 2) + 16 * u) ^ 0xaaaaaaaau;
      to.codes[u][0] = (word << 2 & 0x3c3c3c3cu) | (pairs << (6 - pair) & 0xc0c0c0c0u);
      to.codes[u][1] = (word >> 2 & 0x3c3c3c3cu) | (pairs << (2 - pair) & 0xc0c0c0c0u);
      TW_UNROLL for (u32 h = 0; h < 2; h++) to.scale[u][h] = d * signed_byte(scales[h], 2 * (r % 2) + u);
    }
  }
};

}  // namespace tw
