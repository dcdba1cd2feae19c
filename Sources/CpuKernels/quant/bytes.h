// Byte vectors for the integer dot products of the quantized kernels. Bytes is 4 * kLanes bytes as a compiler vector,
// so & | ^ and shifts of dwords are written as such; what needs an instruction of its own is a function here, one
// header per instruction set.
//
// A Quad is 16 bytes: a quarter of an AVX-512 register, a whole NEON register. Every shuffle stays within quads, which
// is why one description of a format (unpack_*.h) serves vectors of 1, 2 and 4 quads.
//
// A header of an instruction set defines
//   load_quads(p, odd, pair)        quad c comes from p + (c % 2) * odd + (c / 2) * pair
//   repeat_pair(p, slice)           quad c is quad (slice * kQuads + c) % 2 at p
//   splat_quad(q)                   the same quad everywhere
//   zip32_low/high, zip64_low/high  interleave dwords (qwords) of the low (high) halves of each quad
//   swap_qwords(x)                  exchanges the two qwords of each quad
//   shift_lanes<Counts, kSwap>(x)   lane l is lane l (kSwap: l ^ 1) of x, shifted right by Counts::at(l) bits, left if
//                                   that is negative; bits that cross a byte are not specified
//   spread_bits<first>(x)           byte b of a lane is 16 if bit first + b of the lane of x is set, or else 0
//   select(mask, a, b)              bits of a where mask is set, of b elsewhere
//   lookup(table, index)            16-entry byte table held in every quad; index bytes are 0..15
//   shuffle(quad, order)            bytes of a quad in the given order, 0..15
//   widen_u8(quad), widen_i8(quad)  its first kLanes bytes as I32
//   lanes_f16/u32/u8(p, stride)     kLanes halves (dwords, bytes), `stride` bytes apart, as F32 (U32, I32)
//   gather_bytes(quad, order)       lane l is byte order[4 * l] of the quad; the other bytes of `order` are 128
//   splat_f16(p)                    the half at p in every lane
//   halves_f16(p, stride)           the half at p in lanes 0..7, that at p + stride in lanes 8..15
//   halves_f32(p, stride)           likewise with floats
//   pairs_f16(p, stride)            the half at p in lanes 0, 1 of each quad, that at p + stride in lanes 2, 3; the
//                                   latter is not used where kLanes < 16
//   narrow_f16(x)                   the low halves of the lanes as F32
#pragma once

#include "../simd/f32.h"
#include "../simd/prefetch.h"

/// What an inner loop consists of. Left to themselves compilers stop inlining somewhere within the larger formats, and
/// then pass dozens of vectors through memory.
#define TW_INLINE __attribute__((always_inline)) inline

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kVectorBytes = 4 * kLanes;
constexpr int kQuads = kLanes / 4;
typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
typedef uint32_t U32 __attribute__((vector_size(kVectorBytes)));
typedef uint8_t Quad __attribute__((vector_size(16)));

template <class T>
inline T read(const void* p) {
  T x;
  memcpy(&x, p, sizeof x);
  return x;
}
inline Bytes load_vector(const void* p) {
  return read<Bytes>(p);
}
inline Quad load_quad(const void* p) {
  return read<Quad>(p);
}
inline void store_vector(void* p, Bytes x) {
  memcpy(p, &x, sizeof x);
}
inline Bytes splat_byte(int x) {
  return Bytes{} + static_cast<uint8_t>(x);
}
/// The dword at p in every lane.
inline U32 splat_dword(const void* p) {
  return U32{} + read<uint32_t>(p);
}
/// The float at p in every lane.
inline F32 splat_float(const void* p) {
  return (F32)splat_dword(p);
}
inline Quad make_quad(uint64_t low, uint64_t high) {
  typedef uint64_t U64x2 __attribute__((vector_size(16)));
  return (Quad)U64x2{low, high};
}
inline Bytes shift_right(Bytes x, int bits) {
  return (Bytes)((U32)x >> bits);
}

/// Counts::at(lane) for every lane.
template <class Counts>
struct LaneCounts {
  int32_t right[kLanes] = {};
  int32_t left[kLanes] = {};
  bool any_right = false;
  bool any_left = false;
  constexpr LaneCounts() {
    for (int lane = 0; lane < kLanes; lane++) {
      const int count = Counts::at(lane);
      right[lane] = count > 0 ? count : 0;
      left[lane] = count < 0 ? -count : 0;
      any_right = any_right || count > 0;
      any_left = any_left || count < 0;
    }
  }
};
template <class Counts>
constexpr LaneCounts<Counts> kLaneCounts{};

}  // namespace
}  // namespace TW_ISA
}  // namespace tw

#if defined(__AVX512F__)
#include "bytes_avx512.h"
#elif defined(__AVX2__)
#include "bytes_avx2.h"
#elif defined(TW_NEON)
#include "bytes_neon.h"
#else
#include "bytes_generic.h"
#endif
