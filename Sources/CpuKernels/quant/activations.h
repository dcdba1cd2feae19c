// The q8 activation format (ts/kernels/matmul.ts, q8Layout) and its rearrangement into the order of a format's units.
//
// A record holds what one row of activations contributes to one unit of weights: for each slice kSteps vectors of
// codes, then kLanes scales, then kLanes corrections. A correction takes the zero point or the min out of a group in
// one go:
//   zero point  int32 -zero * sum(codes), where the integer dot product starts, so it is exact
//   min         float -scale * sum(codes), to be multiplied by the group's min
#pragma once

#if defined(TW_NEON)
#include "unpack_neon.h"
#else
#include "unpack_256.h"
#endif

namespace tw {
namespace TW_ISA {
namespace {

/// Activations per scale, and per sum.
constexpr int kQ8Group = 32;
constexpr int kQ8SumGroup = 16;

/// Sections of a buffer of q8 activations: `rows` rows of `k`.
struct Q8Rows {
  const int8_t* codes;
  const float* scales;
  const int16_t* sums;
  int64_t k;

  Q8Rows(const void* base, int64_t rows, int64_t k_) : k(k_) {
    const char* p = static_cast<const char*>(base);
    codes = reinterpret_cast<const int8_t*>(p);
    p += round_up(rows * k, 64);
    scales = reinterpret_cast<const float*>(p);
    p += round_up(rows * (k / kQ8Group) * 4, 64);
    sums = reinterpret_cast<const int16_t*>(p);
  }

  const int8_t* codes_of(int64_t row) const { return codes + row * k; }
  float scale(int64_t row, int64_t index) const { return scales[row * (k / kQ8Group) + index / kQ8Group]; }
  /// Sum of the `group` (16 or 32) codes from `index`.
  int32_t sum(int64_t row, int64_t index, int group) const {
    const int16_t* s = sums + row * (k / kQ8SumGroup) + index / kQ8SumGroup;
    return group == kQ8Group ? s[0] + s[1] : s[0];
  }
};

/// What the code that handles activations must know of a format.
struct ActivationOrder {
  int weights;  // of a unit
  int slices;
  int steps;
  int group;
  int zero;  // of the stored codes
  bool has_min;
  /// [slice][step][lane]: which dword of the unit's weights
  const uint16_t* dwords;
  /// [slice][lane]: which group of the unit
  const uint16_t* groups;

  int64_t units(int64_t k) const { return ceil_div(k, weights); }
  int64_t slice_bytes() const { return static_cast<int64_t>(steps + 2) * kVectorBytes; }
  int64_t record_bytes() const { return slices * slice_bytes(); }
};

template <class F>
struct OrderTable {
  using S = Shape<F>;
  uint16_t dwords[S::kSlices * S::kSteps * kLanes] = {};
  uint16_t groups[S::kSlices * kLanes] = {};
  constexpr OrderTable() {
    int i = 0;
    for (int slice = 0; slice < S::kSlices; slice++) {
      for (int step = 0; step < S::kSteps; step++) {
        for (int lane = 0; lane < kLanes; lane++)
          dwords[i++] = static_cast<uint16_t>(Unpack<F>::dword(slice, step, lane));
      }
      for (int lane = 0; lane < kLanes; lane++) {
        groups[slice * kLanes + lane] = static_cast<uint16_t>(lane_group<F>(slice, lane));
      }
    }
  }
};
template <class F>
constexpr OrderTable<F> kOrderTable{};

template <class F>
constexpr ActivationOrder activation_order() {
  using S = Shape<F>;
  return {S::kWeights,           S::kSlices,           S::kSteps, F::kGroup, stored_zero<F>(), F::kHasMin,
          kOrderTable<F>.dwords, kOrderTable<F>.groups};
}

/// The correction of a group as the four bytes that a record holds.
inline uint32_t correction(const ActivationOrder& order, float scale, int32_t sum) {
  const float of_min = -scale * static_cast<float>(sum);
  const int32_t of_zero = -order.zero * sum;
  uint32_t bits;
  memcpy(&bits, order.has_min ? static_cast<const void*>(&of_min) : &of_zero, sizeof bits);
  return bits;
}

/// Writes the record of (row, unit). What lies beyond k counts as zero.
inline void arrange(const ActivationOrder& order, const Q8Rows& q8, int64_t row, int64_t unit, uint8_t* record) {
  const int64_t start = unit * order.weights;
  const int8_t* codes = q8.codes_of(row) + start;
  const int64_t present = min_of(q8.k - start, order.weights) / 4;  // dwords
  const uint16_t* dwords = order.dwords;
  for (int slice = 0; slice < order.slices; slice++) {
    const int count = order.steps * kLanes;
    if (present == order.weights / 4) {
      for (int i = 0; i < count; i++) memcpy(record + 4 * i, codes + 4 * dwords[i], 4);
    } else {
      for (int i = 0; i < count; i++) {
        uint32_t dword = 0;
        if (dwords[i] < present) memcpy(&dword, codes + 4 * dwords[i], 4);
        memcpy(record + 4 * i, &dword, 4);
      }
    }
    uint8_t* scales = record + count * 4;
    uint8_t* corrections = scales + kVectorBytes;
    for (int lane = 0; lane < kLanes; lane++) {
      float scale = 0;
      uint32_t correct = 0;
      const int64_t group = order.groups[slice * kLanes + lane];
      if (group * order.steps < present) {
        const int64_t index = start + group * order.group;
        scale = q8.scale(row, index);
        correct = correction(order, scale, q8.sum(row, index, order.group));
      }
      memcpy(scales + 4 * lane, &scale, 4);
      memcpy(corrections + 4 * lane, &correct, 4);
    }
    record += order.slice_bytes();
    dwords += count;
  }
}

/// Bytes of a group in packed columns: the columns' corrections, their scales, then dwords of codes, step by step.
constexpr int64_t packed_group_bytes(int steps, int64_t columns) {
  return (steps + 2) * columns * 4;
}
/// Groups of a few columns that are packed at a time.
constexpr int64_t kPackedGroups = 32;

/// Packs groups [first, last) of the `count` rows of activations from `row` on, side by side, for kernels that multiply
/// `columns` of them at a time; columns beyond `count` are zero.
inline void pack_columns(const ActivationOrder& order, const Q8Rows& q8, int64_t row, int64_t count, int64_t columns,
                         int64_t first, int64_t last, uint8_t* packed) {
  const int64_t group_bytes = packed_group_bytes(order.steps, columns);
  for (int64_t j = 0; j < columns; j++) {
    const bool exists = j < count;
    const int8_t* codes = q8.codes_of(row + (exists ? j : 0));
    for (int64_t g = first; g < last; g++) {
      uint8_t* to = packed + g * group_bytes + 4 * j;
      const int64_t index = g * order.group;
      const float scale = exists ? q8.scale(row + j, index) : 0.0f;
      const uint32_t correct = exists ? correction(order, scale, q8.sum(row + j, index, order.group)) : 0;
      memcpy(to, &correct, 4);
      memcpy(to + 4 * columns, &scale, 4);
      for (int step = 0; step < order.steps; step++) {
        uint32_t dword = 0;
        if (exists) memcpy(&dword, codes + index + 4 * step, 4);
        memcpy(to + (2 + step) * 4 * columns, &dword, 4);
      }
    }
  }
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
