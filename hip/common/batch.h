// Batch entries of a launch, counted along its third grid dimension.
#pragma once
#include "device.h"

namespace tw {

/// Offset of batch entry `entry`, row-major over the four sizes, in units of the strides.
TW_DEVICE i64 batch_offset(const u32 batch[4], const i64 stride[4], u32 entry) {
  if (entry == 0) return 0;
  i64 at = 0;
  TW_UNROLL for (int i = 3; i >= 0; i--) {
    at += i64(entry % batch[i]) * stride[i];
    entry /= batch[i];
  }
  return at;
}

}  // namespace tw
