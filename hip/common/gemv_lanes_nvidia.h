// What a lane takes (gemv_lanes.h) of the formats that decoding limits on NVIDIA GPUs, for one row of activations:
// words are multiplied as far undecoded as they can be, as NVIDIA's dot product is none of the units that masks and
// shifts keep busy.
#pragma once
#include "gemv_lanes.h"

namespace tw {

/// Formats of which a byte has pairs of bits of four runs (formats/k2.h): 64 weights, parts p and p + 4. Pairs are
/// multiplied where they stand in their bytes, and so 4^j times too large.
struct FourRuns {
  enum : u32 { weights = 64, per_block = 4, ahead = 1, early = 1 };
  struct Activations {
    u32x4 codes[4];
    u32x2 records[2];
    TW_MEMBER void load(const u8* block, u32 codes_at, u32 records_at) {
      codes[0] = load_u128<16>(block + q8_codes, codes_at);
      codes[1] = load_u128<16>(block + q8_codes + 128, codes_at);
      codes[2] = load_u128<16>(block + q8_codes + 64, codes_at);
      codes[3] = load_u128<16>(block + q8_codes + 192, codes_at);
      records[0] = load_u64<8>(block, records_at);
      records[1] = load_u64<8>(block + 32, records_at);
    }
    TW_MEMBER u32 record(u32 run) const { return records[run / 2][run % 2]; }
  };
  static TW_MEMBER u32 codes_at(u32 place) { return 16 * place; }
  static TW_MEMBER u32 records_at(u32 place) { return 8 * place; }
  static TW_MEMBER i32 pairs(u32x4 words, u32x4 codes, u32 run) {
    i32 dot = 0;
    TW_UNROLL for (u32 i = 0; i < 4; i++) dot = dot4_unsigned(words[i] & (0x03030303u << 2 * run), codes[i], dot);
    return dot;
  }
  /// The step of a run, smaller by as much as its pairs are too large.
  static TW_MEMBER float step(u32 record, u32 run) { return q8_step(record) * (1.0f / float(1u << 2 * run)); }
};

struct Q2Lane : FourRuns {
  struct Raw {
    u32x4 codes;
    u32x2 scales;
    u32 d;
  };
  typedef Raw Weights;
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 place) {
    return {load_u128<4>(row + 16, block + 16 * place), load_u64<4>(row, block + 8 * (place / 2)),
            load_u32<4>(row + 80, block)};
  }
  static TW_MEMBER void decode(const Raw& raw, u32 place, Weights& w) {
    w = raw;
    TW_UNROLL for (u32 i = 0; i < 2; i++) w.scales[i] = raw.scales[i] >> 8 * (place % 2);
  }
  static TW_MEMBER void multiply(const Weights& w, const Activations& a, float& sum) {
    float products = 0.0f, sums = 0.0f;
    TW_UNROLL for (u32 j = 0; j < 4; j++) {
      const u32 byte = w.scales[j / 2] >> 16 * (j % 2), record = a.record(j);
      products += step(record, j) * float(pairs(w.codes, a.codes[j], j) * i32(byte & 15u));
      sums += q8_step(record) * float(q8_sum(record) * i32(byte >> 4 & 15u));
    }
    sum += from_f16(w.d & 0xffffu) * products - from_f16(w.d >> 16) * sums;
  }
};

/// q - 4 is the pair less four times the third bit inverted. The third bits of a block's first half stand in bits 0 to
/// 3 of their plane's bytes, those of the second in bits 4 to 7: all products are 16 times too large there.
struct Q3Lane : FourRuns {
  struct Raw {
    u32x2 plane[3], codes[3];
    u32 head[4], odd;
  };
  struct Weights {
    u32x4 codes, plane;
    u32 scales[2];
    u32 third;
    i32 pairs_by;
    float d;
  };
  /// Words of 8 bytes, and of 4 at the end, from those that the block begins in: the fewer instructions touch all the
  /// blocks of a wave, the less they keep the first cache busy, which was the limit.
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 place) {
    Raw raw;
    const u8* at = row + block;
    raw.odd = u32((u64)at) % 8;
    at -= (u64)at % 8;
    TW_UNROLL for (u32 i = 0; i < 3; i++) {
      raw.plane[i] = load_u64<8>(at + 8 * i, 16 * (place % 2));
      raw.codes[i] = load_u64<8>(at + 32 + 8 * i, 16 * place);
    }
    TW_UNROLL for (u32 i = 0; i < 4; i++) raw.head[i] = load_u32<4>(at + 96 + 4 * i, raw.odd & 4u);
    return raw;
  }
  static TW_MEMBER u32x4 aligned(const u32x2 words[3], u32 odd) {
    u32 own[6];
    TW_UNROLL for (u32 i = 0; i < 6; i++) own[i] = words[i / 2][i % 2];
    TW_UNROLL for (u32 i = 0; i < 5; i++) {
      const u32 early = own[i], late = own[i + 1];
      own[i] = odd < 4 ? early : late;
    }
    u32x4 to;
    TW_UNROLL for (u32 i = 0; i < 4; i++) to[i] = funnel_right(own[i + 1], own[i], odd % 4 * 8);
    return to;
  }
  static TW_MEMBER void decode(const Raw& raw, u32 place, Weights& w) {
    const u32 half = place / 2, byte = 8 * (place % 2) + 4 * half;
    w.codes = aligned(raw.codes, raw.odd);
    w.plane = aligned(raw.plane, raw.odd);
    u32 head[4];
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      head[i] = funnel_right(i < 3 ? raw.head[i + 1] : 0, raw.head[i], raw.odd % 4 * 8);
    }
    TW_UNROLL for (u32 i = 0; i < 2; i++) {
      w.scales[i] = (head[i] >> byte & 0x000f000fu) | (head[2] >> (byte + 2 * i) & 0x00030003u) << 4;
    }
    w.third = 0x01010101u << 4 * half;
    w.pairs_by = i32(anew(half != 0 ? 16 : 1));
    w.d = from_f16(head[3] & 0xffffu) * (half != 0 ? 0.0625f : 1.0f);
  }
  static TW_MEMBER void multiply(const Weights& w, const Activations& a, float& sum) {
    float products = 0.0f;
    TW_UNROLL for (u32 j = 0; j < 4; j++) {
      i32 thirds = 0;
      TW_UNROLL for (u32 i = 0; i < 4; i++) {
        thirds = dot4_unsigned(~w.plane[i] & (w.third << j), a.codes[j][i], thirds);
      }
      const i32 dot = pairs(w.codes, a.codes[j], j) * w.pairs_by - thirds * (4 << j);
      const i32 scale = i32(w.scales[j / 2] >> 16 * (j % 2) & 63u);
      products += step(a.record(j), j) * float(dot * scale - 32 * dot);
    }
    sum += w.d * products;
  }
};

/// Formats of tables (formats/table.h): prmt takes four places of a word as they are, two weights of each run. Their
/// fourth bit makes it give the sign of the entry it would have given, 0 or -1, so that the entries of both halves of
/// the table are multiplied and need not be sorted from each other: what is wrong by one is so in the table, too.
template <class F, u32 C>
struct TableLane {
  enum : u32 { weights = 32, per_block = F::parts, ahead = C, early = C };
  typedef typename F::Raw Raw;
  struct Activations {
    u32 codes[8];
    u32 record;
    TW_MEMBER void load(const u8* block, u32 codes_at, u32 records_at) {
      const u32x4 first = load_u128<16>(block + q8_codes, codes_at);
      const u32x4 second = load_u128<16>(block + q8_codes + 128, codes_at);
      record = load_u32<4>(block, records_at);
      TW_UNROLL for (u32 i = 0; i < 4; i++) {
        codes[2 * i] = __nvvm_prmt(first[i], second[i], 0x5140);
        codes[2 * i + 1] = __nvvm_prmt(first[i], second[i], 0x7362);
      }
    }
  };
  struct Weights {
    u32 nibbles[4];
    u32 low, high;
    float scale;
  };
  static TW_MEMBER u32 codes_at(u32 part) { return 16 * part; }
  static TW_MEMBER u32 records_at(u32 part) { return 8 * part; }
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) { return F::load(row, block, part); }
  static TW_MEMBER void decode(const Raw& raw, u32 part, Weights& w) {
    constexpr Halves t = halves(F::Entries::table);
    TW_UNROLL for (u32 i = 0; i < 4; i++) w.nibbles[i] = raw.nibbles[i];
    w.scale = F::scale(raw, part);
    // In registers, and not made of constants before each use.
    w.low = anew(t.low[0]);
    w.high = anew(t.high[0]);
  }
  static TW_MEMBER void multiply(const Weights& w, const Activations& a, float& sum) {
    constexpr Halves t = halves(F::Entries::table);
    i32 dots[2] = {0, 0};
    TW_UNROLL for (u32 i = 0; i < 8; i++) {
      const u32 low = w.nibbles[i / 2], high = low ^ 0x88888888u;
      dots[0] = dot4(__nvvm_prmt(w.low, t.low[1], low >> 16 * (i % 2)), a.codes[i], dots[0]);
      dots[1] = dot4(__nvvm_prmt(w.high, t.high[1], high >> 16 * (i % 2)), a.codes[i], dots[1]);
    }
    sum += q8_step(a.record) * (w.scale * float(dots[0] + dots[1]));
  }
};

template <>
struct LaneOf<Q2_K, 1> {
  typedef Q2Lane Lane;
};
template <>
struct LaneOf<Q3_K, 1> {
  typedef Q3Lane Lane;
};
template <u32 C>
struct LaneOf<IQ4_NL, C> {
  typedef typename Either<C <= 2, TableLane<IQ4_NL, C>, OnePart<IQ4_NL, C>>::Type Lane;
};
template <>
struct LaneOf<IQ4_XS, 1> {
  typedef TableLane<IQ4_XS, 1> Lane;
};
template <u32 C>
struct LaneOf<MXFP4, C> {
  typedef typename Either<C <= 2, TableLane<MXFP4, C>, OnePart<MXFP4, C>>::Type Lane;
};

}  // namespace tw
