// The integer dot product: every lane of the accumulator gains the products of four weight codes and four activations.
//
// What an instruction set can multiply decides how codes are stored (see Stored in unpack.h):
//   x86 with VNNI  unsigned by signed bytes, exact in 32 bits. Signed codes are stored plus 128 (kWideOffset), and the
//                  128 is part of the zero point.
//   AVX2           the same multiplication, but pairs are added in 16 bits: exact for codes up to 127. Codes that need
//                  all eight bits (kWide) stay signed and are multiplied as |w| by sign(w) a, whose pairs are at most
//                  2 * 128 * 127 < 2^15. Small codes need no widening at every step: as many steps as cannot overflow
//                  are added in 16 bits first.
//   Arm            signed by signed bytes: one instruction with the dot product extension. Without, products of small
//                  codes are added in 16 bits, each on its own, as many as cannot overflow; pairs of them after that.
//   elsewhere      signed by signed bytes.
#pragma once

#include "bytes.h"

namespace tw {
namespace TW_ISA {
namespace {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)

constexpr int kWideOffset = 128;

template <class Stored>
class Dot {
 public:
  void start(I32 sum) { sum_ = sum; }
  void add(Bytes weights, Bytes activations, int) {
#if defined(__AVX512F__)
    sum_ = (I32)_mm512_dpbusd_epi32((__m512i)sum_, (__m512i)weights, (__m512i)activations);
#elif defined(__AVXVNNI__)
    sum_ = (I32)_mm256_dpbusd_avx_epi32((__m256i)sum_, (__m256i)weights, (__m256i)activations);
#endif
  }
  I32 total() const {
    return sum_;
  }

 private:
  I32 sum_{};
};

#elif defined(__AVX2__)

constexpr int kWideOffset = 0;

template <class Stored>
class Dot {
 public:
  void start(I32 sum) { sum_ = sum; }
  /// @param step  counts the calls from 0; a multiple of kRun calls must come before total()
  void add(Bytes weights, Bytes activations, int step) {
    __m256i pairs;
    if (Stored::kWide) {
      pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)weights),
                                   _mm256_sign_epi8((__m256i)activations, (__m256i)weights));
    } else {
      pairs = _mm256_maddubs_epi16((__m256i)weights, (__m256i)activations);
    }
    run_ = step % kRun == 0 ? pairs : _mm256_add_epi16(run_, pairs);
    if (step % kRun == kRun - 1) sum_ += (I32)_mm256_madd_epi16(run_, _mm256_set1_epi16(1));
  }
  I32 total() const { return sum_; }

 private:
  /// Steps whose pairs fit 16 bits together; a power of two, at most the four steps of a group of 16.
  static constexpr int kFit = Stored::kWide ? 1 : 32767 / (2 * 127 * Stored::kMax);
  static constexpr int kRun = kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
  I32 sum_{};
  __m256i run_{};
};

#elif defined(__ARM_FEATURE_DOTPROD)

constexpr int kWideOffset = 0;

template <class Stored>
class Dot {
 public:
  void start(I32 sum) { sum_ = (int32x4_t)sum; }
  void add(Bytes weights, Bytes activations, int) {
    sum_ = vdotq_s32(sum_, (int8x16_t)weights, (int8x16_t)activations);
  }
  I32 total() const { return (I32)sum_; }

 private:
  int32x4_t sum_{};
};

#elif defined(TW_NEON)

constexpr int kWideOffset = 0;

template <class Stored>
class Dot {
 public:
  void start(I32 sum) { start_ = (int32x4_t)sum; }
  /// @param step  counts the calls from 0
  void add(Bytes weights, Bytes activations, int step) {
    const int8x16_t w = (int8x16_t)weights;
    const int8x16_t a = (int8x16_t)activations;
    if (step % kRun == 0) {
      if (step > 0) widen(step == kRun);
      low_ = vmull_s8(vget_low_s8(w), vget_low_s8(a));
      high_ = vmull_high_s8(w, a);
    } else {
      low_ = vmlal_s8(low_, vget_low_s8(w), vget_low_s8(a));
      high_ = vmlal_high_s8(high_, w, a);
    }
    widened_ = step >= kRun;
  }
  I32 total() const {
    Dot last = *this;
    last.widen(!widened_);
    return (I32)vaddq_s32(start_, vpaddq_s32(last.low_sum_, last.high_sum_));
  }

 private:
  /// Largest magnitude of a stored code, and the products that fit 16 bits together.
  static constexpr int kMax = Stored::kWide ? 128 : Stored::kMax;
  static constexpr int kRun = 32767 / (127 * kMax);

  /// Pairs of products to 32 bits.
  void widen(bool first) {
    low_sum_ = first ? vpaddlq_s16(low_) : vpadalq_s16(low_sum_, low_);
    high_sum_ = first ? vpaddlq_s16(high_) : vpadalq_s16(high_sum_, high_);
  }

  int32x4_t start_{}, low_sum_{}, high_sum_{};
  int16x8_t low_{}, high_{};
  bool widened_ = false;
};

#else

constexpr int kWideOffset = 0;

template <class Stored>
class Dot {
 public:
  void start(I32 sum) { sum_ = sum; }
  void add(Bytes weights, Bytes activations, int) {
    // Even and odd bytes as 16-bit lanes; a pair of products is at most 2 * 128 * 127 < 2^15.
    typedef int16_t I16 __attribute__((vector_size(kVectorBytes)));
    const I16 w = (I16)weights;
    const I16 a = (I16)activations;
    const I16 pairs = (w << 8 >> 8) * (a << 8 >> 8) + (w >> 8) * (a >> 8);
    sum_ += ((I32)pairs << 16 >> 16) + ((I32)pairs >> 16);
  }
  I32 total() const { return sum_; }

 private:
  I32 sum_{};
};

#endif

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
