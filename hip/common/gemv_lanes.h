// What a lane of the GEMV (gemv.h) takes of a row of weights at a time, and of each row of activations with it.
//
//   weights, per_block   how many weights, and lanes that share a block
//   codes_at(i), records_at(i)
//                        bytes from the codes and the records of 256 activations (q8.h) to those of lane i
//   Raw, load(row, block, i)
//                        words of weights as they are loaded, of the block at byte `block`
//   Activations          of one row: load(block, codes_at, records_at)
//   Weights, decode(raw, i, w)
//   multiply(w, a, sum)  sum += w · a
//   early, ahead         rows of activations that are asked for together with the weights; and, once those are decoded,
//                        that are in flight, for C of them
#pragma once
#include "../formats/formats.h"
#include "q8.h"

namespace tw {

/// A part of 32 weights (formats/format.h).
template <class F, u32 C>
struct OnePart {
  enum : u32 { weights = 32, per_block = F::parts, ahead = C < 4 ? C : 4, early = ahead };
  typedef typename F::Raw Raw;
  struct Activations {
    u32x4 codes[2];
    u32x2 records;
    TW_MEMBER void load(const u8* block, u32 codes_at, u32 records_at) {
      codes[0] = load_u128<16>(block + q8_codes, codes_at);
      codes[1] = load_u128<16>(block + q8_codes + 128, codes_at);
      records = load_u64<8>(block, records_at);
    }
  };
  struct Weights {
    u32 codes[8];
    float scale[2], min[2];
  };
  static TW_MEMBER u32 codes_at(u32 part) { return 16 * part; }
  static TW_MEMBER u32 records_at(u32 part) { return 8 * part; }
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 part) { return F::load(row, block, part); }
  static TW_MEMBER void decode(const Raw& raw, u32 part, Weights& w) { F::decode(raw, part, w.codes, w.scale, w.min); }
  static TW_MEMBER void multiply(const Weights& w, const Activations& a, float& sum) {
    i32 dots[2] = {0, 0};
    TW_UNROLL for (u32 i = 0; i < 8; i++) {
      i32& dot = dots[F::one_scale ? 0 : i / 4];
      dot = dot4(w.codes[i], a.codes[i / 4][i % 4], dot);
    }
    TW_UNROLL for (u32 i = 0; i < (F::one_scale ? 1 : 2); i++) {
      float value = w.scale[i] * float(dots[i]);
      if (F::has_min) {
        const i32 codes = F::one_scale ? q8_sum(a.records[0]) + q8_sum(a.records[1]) : q8_sum(a.records[i]);
        value -= w.min[i] * float(codes);
      }
      sum += q8_step(a.records[i]) * value;
    }
  }
};

/// A run of 16 weights: two lanes share a part. Half the activations, so that eight rows of them take 61 to 64
/// registers and not 76 to 85, and a tenth more instructions, as each lane decodes one scale and each word half.
template <class F, u32 C>
struct OneRun {
  typedef typename F::RawRun Raw;
  // What 64 registers are enough for; next to weights of 8 words that is everything at once.
  enum : u32 {
    weights = 16,
    per_block = 16,
    ahead = TW_WAVE == 64 ? C : C - C / 8,
    early = TW_WAVE == 32      ? C / 2
            : sizeof(Raw) > 32 ? C - C / 4
                               : C
  };
  struct Activations {
    u32x4 codes;
    u32 record;
    TW_MEMBER void load(const u8* block, u32 codes_at, u32 records_at) {
      codes = load_u128<16>(block + q8_codes, codes_at);
      record = load_u32<4>(block, records_at);
    }
  };
  struct Weights {
    u32 codes[4];
    float scale, min;
  };
  /// The first runs of all parts, then the second ones: so codes are in the order of the lanes.
  static TW_MEMBER u32 codes_at(u32 run) { return 16 * run; }
  static TW_MEMBER u32 records_at(u32 run) { return 8 * (run % 8) + 4 * (run / 8); }
  static TW_MEMBER Raw load(const u8* row, u32 block, u32 run) { return F::load_run(row, block, run % 8, run / 8); }
  static TW_MEMBER void decode(const Raw& raw, u32 run, Weights& w) {
    F::decode_run(raw, run % 8, run / 8, w.codes, w.scale, w.min);
  }
  static TW_MEMBER void multiply(const Weights& w, const Activations& a, float& sum) {
    i32 dot = 0;
    TW_UNROLL for (u32 i = 0; i < 4; i++) dot = dot4(w.codes[i], a.codes[i], dot);
    float value = w.scale * float(dot);
    if (F::has_min) value -= w.min * float(q8_sum(a.record));
    sum += q8_step(a.record) * value;
  }
};

template <bool Condition, class Yes, class No>
struct Either {
  typedef Yes Type;
};
template <class Yes, class No>
struct Either<false, Yes, No> {
  typedef No Type;
};

/// How many waves run beside each other at eight columns is a matter of registers, but for GPUs that have plenty. One
/// scale for both runs of a part would be applied twice.
template <class F, u32 C>
struct LaneOf {
#if defined(TW_AMD) && !defined(TW_MANY_REGISTERS)
  typedef typename Either<C == 8 && !F::one_scale, OneRun<F, C>, OnePart<F, C>>::Type Lane;
#else
  typedef OnePart<F, C> Lane;
#endif
};

}  // namespace tw
