// From a format's blocks to vectors of 8-bit codes, scales and mins.
//
// A unit is the smallest run of whole blocks that fills vectors: kSlices slices of kLanes groups. Lanes are groups: in
// slice s, every byte of lane l of every code vector belongs to one group of kGroup weights, so the dot product of a
// group is the sum of that lane over kGroup / 4 vectors, and one conversion and one multiply-add finish kLanes groups.
// Which four weights a dword holds is dword(slice, step, lane): activations are put into the same order once per launch
// (activations.h), which costs O(k), so a format unpacks in whatever order its bytes fall.
#pragma once

#include "../formats/formats.h"
#include "dot.h"

namespace tw {
namespace TW_ISA {
namespace {

/// How the codes of a format are stored in Bytes: code + kOffset, unsigned and at most kMax unless kWide.
/// This is right for any format; those with few bits have their own below.
template <class F>
struct Stored {
  static constexpr bool kWide = true;
  static constexpr int kOffset = kWideOffset;
  static constexpr int kMax = 255;
};
template <int max, int offset = 0>
struct SmallCodes {
  static constexpr bool kWide = false;
  static constexpr int kOffset = offset;
  static constexpr int kMax = max;
};
template <>
struct Stored<Q4_0> : SmallCodes<15> {};
template <>
struct Stored<Q4_1> : SmallCodes<15> {};
template <>
struct Stored<Q5_0> : SmallCodes<31> {};
template <>
struct Stored<Q5_1> : SmallCodes<31> {};
template <>
struct Stored<Q2_K> : SmallCodes<3> {};
template <>
struct Stored<Q3_K> : SmallCodes<7> {};
template <>
struct Stored<Q4_K> : SmallCodes<15> {};
template <>
struct Stored<Q5_K> : SmallCodes<31> {};
template <>
struct Stored<Q6_K> : SmallCodes<63> {};
template <>
struct Stored<MXFP4> : SmallCodes<24, 12> {};

/// The zero point of the stored codes.
template <class F>
constexpr int stored_zero() {
  return F::kZero + Stored<F>::kOffset;
}

/// Shape of a format's unit.
template <class F>
struct Shape {
  static constexpr int kSteps = F::kGroup / 4;
  static constexpr int kWeights = F::kBlock > kLanes* F::kGroup ? F::kBlock : kLanes* F::kGroup;
  static constexpr int kSlices = kWeights / (kLanes * F::kGroup);
  static constexpr int kBlocks = kWeights / F::kBlock;
  static constexpr int kBytes = kBlocks * F::kBytes;
};

template <class F>
struct Unit {
  Bytes codes[Shape<F>::kSlices][Shape<F>::kSteps];
  F32 scale[Shape<F>::kSlices];
  F32 min[Shape<F>::kSlices];  // not set unless F::kHasMin
};

/// Any format, through its scalar `codes`: lanes are the groups in order, steps the dwords of a group in order; on Arm
/// all dwords lie in order (unpack_neon.h).
template <class F>
struct Unpack {
  using S = Shape<F>;
  static constexpr int dword(int slice, int step, int lane) {
#if defined(TW_NEON)
    return (slice * S::kSteps + step) * kLanes + lane;
#else
    return (slice * kLanes + lane) * S::kSteps + step;
#endif
  }

  static void load(const uint8_t* p, Unit<F>& unit) {
    constexpr int groups = S::kWeights / F::kGroup;
    int8_t codes[S::kWeights];
    float scale[groups];
    float min[groups];
    for (int i = 0; i < S::kBlocks; i++) {
      typename F::Block block;
      memcpy(&block, p + i * F::kBytes, sizeof block);
      const int group = i * (F::kBlock / F::kGroup);
      F::codes(block, codes + i * F::kBlock, scale + group, min + group);
    }
    for (int i = 0; i < S::kWeights; i++) codes[i] = static_cast<int8_t>(codes[i] + Stored<F>::kOffset);
    for (int slice = 0; slice < S::kSlices; slice++) {
      for (int step = 0; step < S::kSteps; step++) {
        uint8_t ordered[kVectorBytes];
        for (int lane = 0; lane < kLanes; lane++) memcpy(ordered + 4 * lane, codes + 4 * dword(slice, step, lane), 4);
        unit.codes[slice][step] = load_vector(ordered);
      }
      unit.scale[slice] = TW_ISA::load(scale + slice * kLanes);
      if constexpr (F::kHasMin) unit.min[slice] = TW_ISA::load(min + slice * kLanes);
    }
  }
};

/// The group that a lane of a slice's dot products, scales and mins belongs to.
template <class F>
constexpr int lane_group(int slice, int lane) {
#if defined(TW_NEON)
  return slice * kLanes + lane;
#else
  return Unpack<F>::dword(slice, 0, lane) / Shape<F>::kSteps;
#endif
}

/// A unit of which only the first `blocks` blocks exist; the rest has zero scales.
template <class F>
__attribute__((noinline)) void load_partial(const uint8_t* p, int64_t blocks, Unit<F>& unit) {
  uint8_t padded[Shape<F>::kBytes] = {};
  memcpy(padded, p, static_cast<size_t>(blocks) * F::kBytes);
  Unpack<F>::load(padded, unit);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
