// A row of block-quantized weights to plain elements: what dequantize and get_rows share.
#pragma once
#include "../formats/formats.h"
#include "numbers.h"

namespace tw {

/// Where a row goes; with `vectors` its elements lie side by side and four of them are aligned.
struct RowTarget {
  u8* dst;
  u32 dtype;
  i64 at, stride;  // elements
  bool vectors;
};

template <u32 N>
TW_DEVICE void store_run(const RowTarget& to, u32 k, const float* w) {
  if (to.vectors) {
    TW_UNROLL for (u32 i = 0; i < N; i += 4) store_four(to.dst, to.dtype, to.at + i64(k + i), w + i);
  } else {
    TW_UNROLL for (u32 i = 0; i < N; i++) store_float(to.dst, to.dtype, to.at + i64(k + i) * to.stride, w[i]);
  }
}

/// One part of 32 weights (formats/format.h), `unit` counted along the row.
template <class F>
TW_DEVICE void convert_part(const u8* row, u32 unit, const RowTarget& to) {
  const u32 block = unit / F::parts, part = unit % F::parts;
  const typename F::Raw raw = F::load(row, block * F::bytes, part);
  u32 codes[8];
  float scale[2], min[2];
  F::decode(raw, part, codes, scale, min);
  TW_UNROLL for (u32 r = 0; r < 2; r++) {
    const u32 i = F::one_scale ? 0 : r;
    float w[16];
    TW_UNROLL for (u32 k = 0; k < 16; k++) {
      const float code = float(i8(codes[4 * r + k / 4] >> (8 * (k % 4))));
      w[k] = F::has_min ? scale[i] * code - min[i] : scale[i] * code;
    }
    store_run<16>(to, block * F::block + F::run(part) + r * F::step, w);
  }
}

}  // namespace tw
