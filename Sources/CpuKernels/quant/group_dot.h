// The dot products of a slice: lane l becomes that of the slice's l-th group of weights with its activations.
#pragma once

#include "unpack.h"

namespace tw {
namespace TW_ISA {
namespace {

#if defined(TW_NEON)

/// Vectors of codes come group by group (unpack_neon.h), so each group has sums of its own, which are added across
/// lanes in the end.
template <class F>
class GroupDot {
 public:
  void start(I32 sum) { start_ = (int32x4_t)sum; }

  TW_INLINE void add(Bytes weights, Bytes activations, int step) {
    const int8x16_t w = (int8x16_t)weights;
    const int8x16_t a = (int8x16_t)activations;
    const int group = step / kVectors;
    const bool first = step % kVectors == 0;
#if defined(__ARM_FEATURE_DOTPROD)
    sums_[group] = vdotq_s32(first ? vdupq_n_s32(0) : sums_[group], w, a);
#else
    const bool fresh = first || !fits(2 * kVectors);
    int16x8_t& half = halves_[group];
    half = fresh ? vmull_s8(vget_low_s8(w), vget_low_s8(a)) : vmlal_s8(half, vget_low_s8(w), vget_low_s8(a));
    half = vmlal_high_s8(half, w, a);
    if (fits(2 * kVectors)) {
      if (step % kVectors == kVectors - 1) sums_[group] = vpaddlq_s16(half);
    } else {
      sums_[group] = first ? vpaddlq_s16(half) : vpadalq_s16(sums_[group], half);
    }
#endif
  }

  TW_INLINE I32 total() const {
#if !defined(__ARM_FEATURE_DOTPROD)
    // Small codes stay in 16 bits until their groups are in one vector.
    if (fits(8 * kVectors)) {
      const int16x8_t pairs = vpaddq_s16(vpaddq_s16(halves_[0], halves_[1]), vpaddq_s16(halves_[2], halves_[3]));
      return (I32)vpadalq_s16(start_, pairs);
    }
#endif
    const int32x4_t sums = vpaddq_s32(vpaddq_s32(sums_[0], sums_[1]), vpaddq_s32(sums_[2], sums_[3]));
    return (I32)vaddq_s32(start_, sums);
  }

 private:
  /// Vectors of codes of a group.
  static constexpr int kVectors = Shape<F>::kSteps / 4;
  int32x4_t start_{}, sums_[4];

#if !defined(__ARM_FEATURE_DOTPROD)
  /// Whether the sum of so many products stays within 16 bits.
  static constexpr bool fits(int products) {
    return products * 127 * (Stored<F>::kWide ? 128 : Stored<F>::kMax) <= 32767;
  }
  int16x8_t halves_[4];
#endif
};

#else

/// Lanes are groups already.
template <class F>
using GroupDot = Dot<Stored<F> >;

#endif

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
