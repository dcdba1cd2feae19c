// Batch dimensions that are only more rows of a, with the same b, become rows: one large product instead of many.
#pragma once

#include "../matmul_view.h"

namespace tw {
namespace TW_ISA {
namespace {

/// A copy of the parameters with every such dimension folded into m.
inline tw_matmul_params fold_batches(const MatmulView& view) {
  tw_matmul_params p = view.p;
  const bool gated = view.gated();
  const bool residual = view.buffers[TW_MATMUL_BUF_RESIDUAL] != nullptr;
  for (int d = 3; d >= 0; d--) {
    if (p.batch[d] == 1) continue;
    if (p.b_batch[d] != 0 || (gated && p.gate_batch[d] != 0)) return p;
    if (p.m == 1) {
      // A single row's stride is free to choose.
      p.a_stride[0] = p.a_batch[d];
      p.out_stride[0] = p.out_batch[d];
      p.residual_stride[0] = p.residual_batch[d];
    } else if (p.a_batch[d] != p.m * p.a_stride[0] || p.out_batch[d] != p.m * p.out_stride[0] ||
               (residual && p.residual_batch[d] != p.m * p.residual_stride[0])) {
      return p;
    }
    p.m *= p.batch[d];
    p.batch[d] = 1;
    p.a_batch[d] = p.out_batch[d] = p.residual_batch[d] = 0;
  }
  return p;
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
