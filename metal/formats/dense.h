// Plain elements: blocks of V, which one load fetches.
#pragma once
#include "format.h"

namespace tw {

template <uint Dtype, uint V>
struct Dense {
  enum : uint { block = V, parts = 1, run = V, runs = 1, step = 0 };
  enum : uint { element = Dtype == TW_DTYPE_F32 ? 4 : 2 };
  static uint start(uint) { return 0; }
  static long pitch(long stride) { return stride * long(V * element); }
  static void decode(device const uchar* at, uint, bool, thread float* w) {
    if (V == 4) {
      const float4 v = load_vector(at, Dtype, 0);
      for (uint i = 0; i < V; i++) w[i] = v[i];
    } else {
      w[0] = load_element(at, Dtype, 0);
    }
  }
};

}  // namespace tw
