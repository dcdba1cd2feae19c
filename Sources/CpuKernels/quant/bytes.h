// Byte vectors for the integer dot products of the quantized kernels. Bytes is 4 * kLanes bytes as a compiler vector,
// so & | ^ and shifts of dwords are written as such; what needs an instruction of its own is a function here, one
// header per instruction set.
//
// A "quad" is 16 bytes: a quarter of an AVX-512 register, a whole NEON register. Every shuffle stays within quads,
// which is why one description of a format (unpack*.h) serves vectors of 1, 2 and 4 quads.
//
// A header of an instruction set defines
//   load_quads(p, stride)           quad c comes from p + c * stride
//   zip32_low/high, zip64_low/high  interleave dwords (qwords) of the low (high) halves of each quad
//   rotate_dwords<n>(x)             dword i of each quad becomes dword (i + n) % 4
//   swap_dwords(x)                  exchanges the two dwords of each qword
//   lookup(table, index)            16-entry byte table held in every quad; index bytes are 0..15
//   lanes_u8/f16/u32<stride>(p)     kLanes bytes (halves, dwords), `stride` bytes apart, as I32 (F32, U32)
//   widen_bytes(low, high)          16 bytes as I32, signed or not: kLanes == 16 takes all, 8 takes `low` only
//   transpose_dwords                kLanes x kLanes dwords, rows to scattered columns
//   kWideOffset, Dot                the dot product; see codes.h
#pragma once

#include "../simd/f32.h"

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kVectorBytes = 4 * kLanes;
constexpr int kQuads = kLanes / 4;
typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
typedef uint32_t U32 __attribute__((vector_size(kVectorBytes)));

inline Bytes load_vector(const void* p) {
  Bytes x;
  memcpy(&x, p, sizeof x);
  return x;
}
inline void store_vector(void* p, Bytes x) {
  memcpy(p, &x, sizeof x);
}
inline Bytes splat_byte(int x) {
  return Bytes{} + static_cast<uint8_t>(x);
}
/// The dword at p in every lane.
inline U32 splat_dword(const void* p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return U32{} + x;
}
/// The float at p in every lane.
inline F32 splat_float(const void* p) {
  return (F32)splat_dword(p);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw

#if defined(__AVX512F__)
#include "bytes_avx512.h"
#elif defined(__AVX2__)
#include "bytes_avx2.h"
#else
#include "bytes_generic.h"
#endif
