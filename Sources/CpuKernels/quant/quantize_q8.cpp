// quantize_q8: rows of activations to 8-bit codes, a scale per 32 and sums of 16 codes.
//
// code = round(a * (127 / amax)), ties to even, scale = amax / 127, so |a - scale * code| <= amax / 254 (1 + 2^-21) for
// every a of the group. Groups of zeros have scale 0. A NaN or an infinity in a group makes its scale NaN (and its
// codes 0): every output that depends on it is NaN instead of silently wrong. Groups with amax < 2^-126 * 127, whose
// scale is subnormal, err by up to 127 * 2^-150 more.
#include "../matmul_view.h"
#include "../simd/strided.h"
#include "activations.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kVectors = kQ8Group / kLanes;

#if defined(__AVX512F__)

/// Eight bits of each lane to memory.
inline void store_codes(int8_t* p, I32 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)x));
}
inline int32_t greatest(I32 x) {
  return _mm512_reduce_max_epi32((__m512i)x);
}
inline int32_t total(I32 x) {
  return _mm512_reduce_add_epi32((__m512i)x);
}

#else

/// Eight bits of each lane to memory.
inline void store_codes(int8_t* p, I32 x) {
  for (int i = 0; i < kLanes; i++) p[i] = static_cast<int8_t>(x[i]);
}
inline int32_t greatest(I32 x) {
  int32_t most = x[0];
  for (int i = 1; i < kLanes; i++) most = x[i] > most ? x[i] : most;
  return most;
}
inline int32_t total(I32 x) {
  int32_t sum = 0;
  for (int i = 0; i < kLanes; i++) sum += x[i];
  return sum;
}

#endif

#if defined(__AVX512F__)
inline I32 round_to_int(F32 x) {
  return (I32)_mm512_cvtps_epi32(x);
}
#elif defined(__AVX2__)
inline I32 round_to_int(F32 x) {
  return (I32)_mm256_cvtps_epi32(x);
}
#else
/// |x| < 2^22: adding 1.5 * 2^23 rounds to a whole number, ties to even, in the low bits.
inline I32 round_to_int(F32 x) {
  return bits_of(x + 0x1.8p23f) - bits_of(splat(0x1.8p23f));
}
#endif

struct Group {
  int8_t* codes;
  float* scale;
  int16_t* sums;  // two
};

inline void quantize_group(const F32 (&x)[kVectors], const Group& out) {
  // Non-negative floats order like their bits, and NaN's are above all: one maximum finds amax and what is not finite.
  I32 most = bits_of(abs(x[0]));
  for (int v = 1; v < kVectors; v++) {
    const I32 bits = bits_of(abs(x[v]));
    most = bits > most ? bits : most;
  }
  const int32_t top = greatest(most);
  float amax;
  memcpy(&amax, &top, sizeof amax);

  float factor = 1;  // keeps 127 / amax finite
  if (top >= 0x7f800000) {
    *out.scale = __builtin_nanf("");
    amax = 0;
  } else {
    *out.scale = amax / 127.0f;
    if (amax < 0x1p-64f) factor = 0x1p64f;
  }
  const float inverse = amax > 0 ? 127.0f / (amax * factor) : 0.0f;
  int32_t sums[2] = {};
  for (int v = 0; v < kVectors; v++) {
    const I32 code = amax > 0 ? round_to_int(x[v] * factor * inverse) : I32{};
    store_codes(out.codes + v * kLanes, code);
    sums[v * kLanes / kQ8SumGroup] += total(code);
  }
  out.sums[0] = static_cast<int16_t>(sums[0]);
  out.sums[1] = static_cast<int16_t>(sums[1]);
}

class Quantizer {
 public:
  explicit Quantizer(const Launch& launch)
      : p_(launch.as<tw_quantize_q8_params>()),
        dtype_(launch.constants[TW_QUANTIZE_Q8_CONST_A_DTYPE]),
        a_(static_cast<const char*>(launch.buffers[TW_QUANTIZE_Q8_BUF_A])),
        q8_(launch.buffers[TW_QUANTIZE_Q8_BUF_Q8], rows(), p_.k) {}

  int64_t rows() const { return p_.m * p_.batch[0] * p_.batch[1] * p_.batch[2] * p_.batch[3]; }
  int64_t groups() const { return p_.k / kQ8Group; }

  /// Groups [first, last) of a row.
  void quantize(int64_t row, int64_t first, int64_t last) const {
    int64_t offset = row % p_.m * p_.a_stride[0];
    int64_t index = row / p_.m;
    for (int d = 3; d >= 0; d--) {
      offset += index % p_.batch[d] * p_.a_batch[d];
      index /= p_.batch[d];
    }
    for (int64_t g = first; g < last; g++) {
      F32 x[kVectors];
      for (int v = 0; v < kVectors; v++) {
        const int64_t at = g * kQ8Group + v * kLanes;
        x[v] = load_strided(a_, dtype_, offset + at * p_.a_stride[1], p_.a_stride[1], kLanes);
      }
      const int64_t group = row * groups() + g;
      quantize_group(x, {const_cast<int8_t*>(q8_.codes) + group * kQ8Group, const_cast<float*>(q8_.scales) + group,
                         const_cast<int16_t*>(q8_.sums) + group * 2});
    }
  }

 private:
  const tw_quantize_q8_params& p_;
  tw_u32 dtype_;
  const char* a_;
  Q8Rows q8_;
};

}  // namespace

void quantize_q8(const Launch& launch, Pool& pool) {
  const Quantizer quantizer(launch);
  pool.limit(launch.constants[TW_QUANTIZE_Q8_CONST_THREADS]);
  // Pieces of a row, so that one long row also uses every thread.
  constexpr int64_t kPiece = 64;
  const int64_t pieces = ceil_div(quantizer.groups(), kPiece);
  const int64_t chunk = 4;
  pool.parallel_for(quantizer.rows() * pieces, chunk, [&](int64_t index, int) {
    const int64_t first = index % pieces * kPiece;
    quantizer.quantize(index / pieces, first, min_of(first + kPiece, quantizer.groups()));
  });
}

}  // namespace TW_ISA
}  // namespace tw
