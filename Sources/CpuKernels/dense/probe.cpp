// What this machine can do at most, measured by launches like any other.
#include "../simd/f32.h"
#include "../simd/prefetch.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Bytes that a thread reads at a time.
constexpr int64_t kReadPiece = 1 << 20;
/// Each thread's share of the iterations comes in this many pieces, so that a late thread does not skew the figure.
constexpr int64_t kPeakPieces = 16;
/// Independent chains: more than latency times throughput of any multiply-add (4 cycles x 2 a cycle), within 16
/// registers.
constexpr int kChains = 12;

inline I32 load_bits(const char* p) {
  I32 x;
  memcpy(&x, p, sizeof x);
  return x;
}

uint64_t checksum(const char* p, int64_t bytes) {
  constexpr int64_t kStep = 4 * sizeof(I32);
  I32 sum[4] = {};
  int64_t i = 0;
  for (; i + kStep <= bytes; i += kStep) {
    prefetch_ahead<kStep>(p + i);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) sum[j] ^= load_bits(p + i + j * static_cast<int64_t>(sizeof(I32)));
  }
  const I32 all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
  uint64_t total = 0;
  for (int j = 0; j < kLanes; j++) total += static_cast<uint32_t>(all[j]);
  for (; i < bytes; i++) total += static_cast<uint8_t>(p[i]);
  return total;
}

#if defined(__aarch64__)
#define TW_IN_REGISTER "+w"
#else
#define TW_IN_REGISTER "+v"
#endif

/// Keeps chains from being optimized away. By their sum: naming each in an asm made the loop store all of them, which
/// took two thirds of the integer peak.
template <class Vector>
__attribute__((always_inline)) inline void use(const Vector (&chains)[kChains]) {
  Vector sum = chains[0];
#pragma GCC unroll 16
  for (int i = 1; i < kChains; i++) sum += chains[i];
  asm volatile("" ::"m"(sum));
}

/// Operations of `iterations` rounds of kChains f32 multiply-adds.
double peak_f32(int64_t iterations) {
  F32 sum[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; i++) sum[i] = splat(static_cast<float>(i));
  F32 x = splat(0.999f);
  F32 y = splat(0.001f);
  asm volatile("" : "+m"(x), "+m"(y));
#pragma GCC unroll 1
  for (int64_t k = 0; k < iterations; k++) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; i++) sum[i] = fma(sum[i], x, y);
  }
  use(sum);
  return static_cast<double>(iterations) * kChains * kLanes * 2;
}

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__AVX2__)
#define TW_PEAK_I8 1
#if defined(__AVX512VNNI__)
inline I32 dot_i8(I32 sum, I32 a, I32 b) {
  return (I32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#elif defined(__AVXVNNI__)
inline I32 dot_i8(I32 sum, I32 a, I32 b) {
  return (I32)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
}
#else
/// Three instructions where there is no dot product: what the integer kernels pay there.
inline I32 dot_i8(I32 sum, I32 a, I32 b) {
  const __m256i pairs = _mm256_maddubs_epi16((__m256i)a, (__m256i)b);
  return (I32)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif
#elif defined(__ARM_FEATURE_DOTPROD)
#define TW_PEAK_I8 1
#include <arm_neon.h>
inline I32 dot_i8(I32 sum, I32 a, I32 b) {
  return (I32)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)b);
}
#endif

/// As above for dot products of four 8-bit products per 32-bit lane; 0 where the instruction set has none.
double peak_i8(int64_t iterations) {
#if defined(TW_PEAK_I8)
  I32 sum[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; i++) sum[i] = splat_i(i);
  I32 x = splat_i(0x01020304);
#pragma GCC unroll 1
  for (int64_t k = 0; k < iterations; k++) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; i++) {
      sum[i] = dot_i8(sum[i], x, x);
      // Keeps the product of x with itself from being hoisted out of the loop where it takes several instructions.
      asm volatile("" : TW_IN_REGISTER(x));
    }
  }
  use(sum);
  return static_cast<double>(iterations) * kChains * kLanes * 8;
#else
  (void)iterations;
  return 0;
#endif
}

}  // namespace

void probe_read(const Launch& launch, Pool& pool) {
  const int64_t bytes = launch.as<tw_probe_read_params>().bytes;
  const char* data = static_cast<const char*>(launch.buffers[TW_PROBE_READ_BUF_DATA]);
  const int64_t pieces = ceil_div(bytes, kReadPiece);
  uint64_t* sums =
      static_cast<uint64_t*>(pool.reserve_shared(static_cast<size_t>(max_of(pieces, 1)) * sizeof(uint64_t)));
  pool.parallel_for(pieces, 1, [&](int64_t piece, int) {
    sums[piece] = checksum(data + piece * kReadPiece, min_of(kReadPiece, bytes - piece * kReadPiece));
  });
  uint64_t total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += sums[piece];
  memcpy(launch.buffers[TW_PROBE_READ_BUF_SINK], &total, sizeof total);
}

void probe_peak(const Launch& launch, Pool& pool) {
  const int64_t iterations = launch.as<tw_probe_peak_params>().iterations;
  const bool integers = launch.constants[TW_PROBE_PEAK_CONST_KIND] == 1;
  const int64_t pieces = pool.threads() * kPeakPieces;
  double* done = static_cast<double*>(pool.reserve_shared(static_cast<size_t>(pieces) * sizeof(double)));
  memset(done, 0, static_cast<size_t>(pieces) * sizeof(double));
  pool.parallel_for(pieces, 1, [&](int64_t piece, int) {
    const int64_t share =
        iterations * (piece % kPeakPieces + 1) / kPeakPieces - iterations * (piece % kPeakPieces) / kPeakPieces;
    done[piece] = integers ? peak_i8(share) : peak_f32(share);
  });
  double total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += done[piece];
  memcpy(launch.buffers[TW_PROBE_PEAK_BUF_SINK], &total, sizeof total);
}

}  // namespace TW_ISA
}  // namespace tw
