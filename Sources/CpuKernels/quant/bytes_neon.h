// Byte vectors for AArch64: one quad.
#pragma once

#include <arm_neon.h>

namespace tw {
namespace TW_ISA {
namespace {

inline Bytes load_quads(const uint8_t* p, int64_t, int64_t) {
  return load_vector(p);
}
inline Bytes repeat_pair(const uint8_t* p, int slice) {
  return load_vector(p + slice % 2 * 16);
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
inline Bytes swap_qwords(Bytes x) {
  return (Bytes)vextq_u8((uint8x16_t)x, (uint8x16_t)x, 8);
}

/// Left shifts, of negative counts to the right.
template <class Counts, bool kSwap>
inline Bytes shift_lanes(Bytes x) {
  const int32_t left[4] = {-Counts::at(0), -Counts::at(1), -Counts::at(2), -Counts::at(3)};
  const uint32x4_t y = kSwap ? vrev64q_u32((uint32x4_t)x) : (uint32x4_t)x;
  return (Bytes)vshlq_u32(y, vld1q_s32(left));
}

template <int first>
inline Bytes spread_bits(U32 x) {
  constexpr uint64_t byte = first / 8 * 0x01010101u;
  const uint8x16_t order = vcombine_u8(vcreate_u8(byte | (byte + 0x04040404u) << 32),
                                       vcreate_u8((byte + 0x08080808u) | (byte + 0x0c0c0c0cu) << 32));
  const uint8x16_t bits = vreinterpretq_u8_u32(vdupq_n_u32(first % 8 == 0 ? 0x08040201u : 0x80402010u));
  return (Bytes)vandq_u8(vtstq_u8(vqtbl1q_u8((uint8x16_t)x, order), bits), vdupq_n_u8(16));
}

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (Bytes)vbslq_u8((uint8x16_t)mask, (uint8x16_t)a, (uint8x16_t)b);
}
inline Bytes lookup(Bytes table, Bytes index) {
  return (Bytes)vqtbl1q_u8((uint8x16_t)table, (uint8x16_t)index);
}

inline Quad shuffle(Quad x, Quad order) {
  return (Quad)vqtbl1q_u8((uint8x16_t)x, (uint8x16_t)order);
}
inline I32 widen_u8(Quad x) {
  return (I32)vmovl_u16(vget_low_u16(vmovl_u8(vget_low_u8((uint8x16_t)x))));
}
inline I32 widen_i8(Quad x) {
  return (I32)vmovl_s16(vget_low_s16(vmovl_s8(vget_low_s8((int8x16_t)x))));
}

template <int stride>
inline F32 lanes_f16(const uint8_t* p) {
  uint16x4_t x = vdup_n_u16(read<uint16_t>(p));
  x = vset_lane_u16(read<uint16_t>(p + stride), x, 1);
  x = vset_lane_u16(read<uint16_t>(p + 2 * stride), x, 2);
  return widen_f16(vset_lane_u16(read<uint16_t>(p + 3 * stride), x, 3));
}
template <int stride>
inline U32 lanes_u32(const uint8_t* p) {
  uint32x4_t x = vdupq_n_u32(read<uint32_t>(p));
  x = vsetq_lane_u32(read<uint32_t>(p + stride), x, 1);
  x = vsetq_lane_u32(read<uint32_t>(p + 2 * stride), x, 2);
  return (U32)vsetq_lane_u32(read<uint32_t>(p + 3 * stride), x, 3);
}
template <int stride>
inline I32 lanes_u8(const uint8_t* p) {
  uint8x8_t x = vdup_n_u8(p[0]);
  x = vset_lane_u8(p[stride], x, 1);
  x = vset_lane_u8(p[2 * stride], x, 2);
  return widen_u8((Quad)vcombine_u8(vset_lane_u8(p[3 * stride], x, 3), x));
}
inline F32 halves_f16(const uint8_t* p, int64_t) {
  return widen_f16(vdup_n_u16(read<uint16_t>(p)));
}
inline F32 pairs_f16(const uint8_t* p, int64_t) {
  return halves_f16(p, 0);
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
