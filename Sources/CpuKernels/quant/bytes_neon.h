// Byte vectors for AArch64: one quad. Of the functions that bytes.h names, those that unpack_neon.h needs.
#pragma once

#include <arm_neon.h>

namespace tw {
namespace TW_ISA {
namespace {

/// Keeps a value that is used several times in a register.
inline void keep(Bytes& x) {
  asm("" : "+w"(x));
}

inline Bytes load_quads(const uint8_t* p, int64_t, int64_t) {
  return load_vector(p);
}
inline Bytes splat_quad(Quad q) {
  return (Bytes)q;
}

inline Bytes zip32_low(Bytes a, Bytes b) {
  return (Bytes)vzip1q_u32((uint32x4_t)a, (uint32x4_t)b);
}
inline Bytes zip32_high(Bytes a, Bytes b) {
  return (Bytes)vzip2q_u32((uint32x4_t)a, (uint32x4_t)b);
}
inline Bytes zip64_low(Bytes a, Bytes b) {
  return (Bytes)vzip1q_u64((uint64x2_t)a, (uint64x2_t)b);
}
inline Bytes zip64_high(Bytes a, Bytes b) {
  return (Bytes)vzip2q_u64((uint64x2_t)a, (uint64x2_t)b);
}

template <int first>
inline Bytes spread_bits(U32 x) {
  constexpr int bit = first % 8;
  // The byte that holds the four bits, in all bytes of the lane.
  const U32 byte = ((x >> (first - bit)) & 0xff) * 0x01010101u;
  const uint8x16_t bits = (uint8x16_t)(U32{} + (0x08040201u << bit));
  return (Bytes)vtstq_u8((uint8x16_t)byte, bits) & 16;
}

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (Bytes)vbslq_u8((uint8x16_t)mask, (uint8x16_t)a, (uint8x16_t)b);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}

TW_INLINE F32 lanes_f16(const uint8_t* p, int64_t stride) {
  uint16x4_t x = vcreate_u16(read<uint16_t>(p));
  x = vset_lane_u16(read<uint16_t>(p + stride), x, 1);
  x = vset_lane_u16(read<uint16_t>(p + 2 * stride), x, 2);
  return widen_f16(vset_lane_u16(read<uint16_t>(p + 3 * stride), x, 3));
}
TW_INLINE U32 lanes_u32(const uint8_t* p, int64_t stride) {
  uint32x4_t x = vcombine_u32(vcreate_u32(read<uint32_t>(p)), vcreate_u32(0));
  x = vsetq_lane_u32(read<uint32_t>(p + stride), x, 1);
  x = vsetq_lane_u32(read<uint32_t>(p + 2 * stride), x, 2);
  return (U32)vsetq_lane_u32(read<uint32_t>(p + 3 * stride), x, 3);
}
TW_INLINE I32 lanes_u8(const uint8_t* p, int64_t stride) {
  uint8x8_t x = vcreate_u8(p[0]);
  x = vset_lane_u8(p[stride], x, 1);
  x = vset_lane_u8(p[2 * stride], x, 2);
  x = vset_lane_u8(p[3 * stride], x, 3);
  return (I32)vmovl_u16(vget_low_u16(vmovl_u8(x)));
}
inline F32 halves_f16(const uint8_t* p, int64_t) {
  return widen_f16(vdup_n_u16(read<uint16_t>(p)));
}
inline F32 halves_f32(const uint8_t* p, int64_t) {
  return splat(read<float>(p));
}
inline F32 narrow_f16(U32 x) {
  return widen_f16(vmovn_u32((uint32x4_t)x));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
