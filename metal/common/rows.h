// A row of weights to plain elements: what dequantize and get_rows share.
#pragma once
#include "../formats/dense.h"
#include "../formats/formats.h"

namespace tw {

/// Where a row goes. `vectors`: its elements lie side by side, and four of them are aligned.
struct RowTarget {
  device uchar* dst;
  uint dtype;
  long at, stride;  // elements
  bool vectors;
};

template <uint N>
METAL_FUNC void store_run(RowTarget to, uint k, thread const float* w) {
  if (to.vectors && N % 4 == 0) {
    for (uint i = 0; i < N; i += 4) {
      store_vector(to.dst, to.dtype, to.at + long(k + i), float4(w[i], w[i + 1], w[i + 2], w[i + 3]));
    }
  } else if (to.vectors && N == 2) {
    store_pair(to.dst, to.dtype, to.at + long(k), float2(w[0], w[N - 1]));
  } else {
    for (uint i = 0; i < N; i++) store_element(to.dst, to.dtype, to.at + long(k + i) * to.stride, w[i]);
  }
}

/// One lane's share of a block, see formats/format.h: `unit` counts shares along the row.
template <typename F>
METAL_FUNC void convert_share(device const uchar* row, long stride, uint unit, bool wide, RowTarget to) {
  const uint block = unit / F::parts;
  const uint start = F::start(unit % F::parts);
  for (uint r = 0; r < F::runs; r++) {
    float w[F::run];
    F::decode(row + long(block) * F::pitch(stride), start + r * F::step, wide, w);
    store_run<F::run>(to, block * F::block + start + r * F::step, w);
  }
}

}  // namespace tw
