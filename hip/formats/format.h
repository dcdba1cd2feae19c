// What a weight format is to the kernels; they are templates over it.
//
// Every format is cut into parts of 32 weights, which one lane takes: two runs of 16 weights side by side, each with
// one scale and one min. Every run is w[i] = scale * code[i] - min, codes signed bytes, 16 of them in four words.
//
// Codes of n bits that stand for q - 2^(n-1) (Q4_0, Q5_0, Q6_K) are put into the top bits of their bytes with the
// highest inverted: that is 2^(8-n) * (q - 2^(n-1)), signed, and the power of two belongs to the scale. So they have no
// min.
//
//   block, bytes     weights and bytes of a block
//   align            what block addresses are multiples of, given rows that are (the largest power of two in `bytes`)
//   parts            block / 32
//   has_min          whether there are mins; without, the formulas leave them out
//   one_scale        both runs of a part have the same scale and min, and lie side by side (step 16)
//   step             weights from the first run of a part to the second: 16, 32 or 64. The parts of 256 weights are
//                    numbered by their first runs; common/q8.h lays activations out in that order
//   run(part)        first weight of a part's first run within the block
//   Raw              the part's words as they were loaded; no arithmetic is done on them
//   load(row, block, part)
//                    asks for the part of the block at byte `block` of `row`, in loads of 16 bytes where it can
//   decode(raw, part, codes[8], scale[2], min[2])
//
// Formats of two scales have each run by itself as well, `second` or not, for lanes that take 16 weights:
//   RawRun, load_run(row, block, part, second)
//   decode_run(raw, part, second, codes[4], scale, min)
//
// The scalar meaning of each format stands in Sources/CpuKernels/formats.
#pragma once
#include "../common/memory.h"

namespace tw {

/// Bytes of `x` picked by `mask`, those of `y` elsewhere.
TW_DEVICE u32 bit_select(u32 mask, u32 x, u32 y) {
  return (x & mask) | (y & ~mask);
}

/// Blocks of 32 weights, a part each: all of one scale.
template <u32 Bytes, bool Min>
struct SmallBlock {
  enum : u32 { block = 32, bytes = Bytes, align = Bytes & (0u - Bytes), parts = 1, step = 16 };
  enum : bool { has_min = Min, one_scale = true };
  static TW_MEMBER u32 run(u32) { return 0; }
};
/// One scale, d, before the nibbles.
struct ScaledNibbles : SmallBlock<18, false> {
  struct Raw {
    u32x4 nibbles;
    u32 d;
  };
  static TW_MEMBER Raw load(const u8* row, u32 block, u32) {
    return {load_u128<2>(row + 2, block), load_u16<2>(row, block)};
  }
};
TW_DEVICE void scale_both(float d, float m, float scale[2], float min[2]) {
  scale[0] = scale[1] = d;
  min[0] = min[1] = m;
}

}  // namespace tw
