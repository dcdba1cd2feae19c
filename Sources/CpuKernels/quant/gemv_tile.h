// Rows of weights times a few rows of activations where a vector has a lane for every row of a block: the inner loops
// of quant_gemv with AVX-512.
//
// A block of weights is unpacked in parts, so that the processor unpacks the next part while it still multiplies this
// one: the dot products take one pair of its four ports. Codes meet broadcast dwords of activations, which are packed
// side by side (pack_columns), and f32 sums stay in registers over all of k.
#pragma once

#include "gemv_rows.h"
#include "panel.h"

namespace tw {
namespace TW_ISA {
namespace {

/// acc[j] += a group of the panel times column j.
template <class F, int kColumns>
TW_INLINE void multiply_group(const uint8_t* panel, const uint8_t* packed, F32 (&acc)[kColumns]) {
  constexpr int kSteps = F::kGroup / 4;
  Bytes w[kSteps];
#pragma GCC unroll 8
  for (int step = 0; step < kSteps; step++) w[step] = load_vector(panel + step * kVectorBytes);
  const F32 scale = (F32)load_vector(panel + kSteps * kVectorBytes);
  const F32 min = F::kHasMin ? (F32)load_vector(panel + (kSteps + 1) * kVectorBytes) : F32{};
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; j++) {
    GroupDot<F> dot;
    dot.start(F::kHasMin ? I32{} : (I32)splat_dword(packed + 4 * j));
#pragma GCC unroll 8
    for (int step = 0; step < kSteps; step++) {
      dot.add(w[step], (Bytes)splat_dword(packed + ((2 + step) * kColumns + j) * 4), step);
    }
    acc[j] = fma(to_f32(dot.total()), scale * splat_float(packed + (kColumns + j) * 4), acc[j]);
    if constexpr (F::kHasMin) acc[j] = fma(min, splat_float(packed + 4 * j), acc[j]);
  }
}

template <class F, int kColumns>
void tile_columns(const RowsJob& job) {
  constexpr int kSteps = F::kGroup / 4;
  constexpr int kGroups = F::kBlock / F::kGroup;
  constexpr int kParts = PanelRows<F>::kParts;
  constexpr int64_t kPanelGroup = panel_group_bytes<1>(kSteps);
  alignas(64) uint8_t panel[kGroups * kPanelGroup];
  uint8_t padded[kLanes * F::kBytes];
  const PanelBlock<F, 1> to{panel};
  F32 acc[kColumns] = {};
  const uint8_t* packed = job.records;
  // The next tile is the next piece of memory.
  const uint8_t* next = job.b + kLanes * job.stride;
  const int64_t blocks = job.k / F::kBlock;
  for (int64_t block = 0; block < blocks; block++) {
    const uint8_t* p = job.b + block * F::kBytes;
    int64_t stride = job.stride;
    if (job.rows < kLanes) {
      for (int64_t r = 0; r < kLanes; r++) {
        memcpy(padded + r * F::kBytes, p + min_of(r, job.rows - 1) * stride, F::kBytes);
      }
      p = padded;
      stride = F::kBytes;
    }
    PanelRows<F> rows;
    rows.begin(p, stride, to);
#pragma GCC unroll 1
    for (int part = 0; part < kParts; part++) {
      rows.part(p, stride, part, to);
#pragma GCC unroll 1
      for (int g = part * (kGroups / kParts); g < (part + 1) * (kGroups / kParts); g++) {
        prefetch_lines<kLanes * F::kBytes / kGroups>(next);
        next += kLanes * F::kBytes / kGroups;
        multiply_group<F, kColumns>(panel + g * kPanelGroup, packed, acc);
        packed += packed_group_bytes(kSteps, kColumns);
      }
    }
  }
  for (int j = 0; j < kColumns; j++) store(job.sums + j * kRowBlock, acc[j]);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
