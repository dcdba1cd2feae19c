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

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (Bytes)vbslq_u8((uint8x16_t)mask, (uint8x16_t)a, (uint8x16_t)b);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}

template <int stride>
inline F32 lanes_f16(const uint8_t* p) {
  uint16x4_t x = vcreate_u16(read<uint16_t>(p));
  x = vset_lane_u16(read<uint16_t>(p + stride), x, 1);
  x = vset_lane_u16(read<uint16_t>(p + 2 * stride), x, 2);
  return widen_f16(vset_lane_u16(read<uint16_t>(p + 3 * stride), x, 3));
}
template <int stride>
inline U32 lanes_u32(const uint8_t* p) {
  uint32x4_t x = vcombine_u32(vcreate_u32(read<uint32_t>(p)), vcreate_u32(0));
  x = vsetq_lane_u32(read<uint32_t>(p + stride), x, 1);
  x = vsetq_lane_u32(read<uint32_t>(p + 2 * stride), x, 2);
  return (U32)vsetq_lane_u32(read<uint32_t>(p + 3 * stride), x, 3);
}
template <int stride>
inline I32 lanes_u8(const uint8_t* p) {
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

/// columns[i] = rows' dword i, stored at dst + offset[i].
inline void transpose_dwords(const uint8_t* src, int64_t src_stride, uint8_t* dst, const int32_t* offset) {
  const Bytes r0 = load_vector(src);
  const Bytes r1 = load_vector(src + src_stride);
  const Bytes r2 = load_vector(src + 2 * src_stride);
  const Bytes r3 = load_vector(src + 3 * src_stride);
  const Bytes low01 = zip32_low(r0, r1);
  const Bytes low23 = zip32_low(r2, r3);
  const Bytes high01 = zip32_high(r0, r1);
  const Bytes high23 = zip32_high(r2, r3);
  store_vector(dst + offset[0], zip64_low(low01, low23));
  store_vector(dst + offset[1], zip64_high(low01, low23));
  store_vector(dst + offset[2], zip64_low(high01, high23));
  store_vector(dst + offset[3], zip64_high(high01, high23));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
