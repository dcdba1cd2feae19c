// Byte vectors for any machine: one quad, by compiler vectors alone.
#pragma once

namespace tw {
namespace TW_ISA {
namespace {

inline void keep(Bytes&) {}

inline Bytes load_quads(const uint8_t* p, int64_t, int64_t) {
  return load_vector(p);
}
inline Bytes repeat_pair(const uint8_t* p, int slice) {
  return load_vector(p + slice % 2 * kVectorBytes);
}
inline Bytes splat_quad(Quad q) {
  return q;
}
inline Bytes zip32_low(Bytes a, Bytes b) {
  return (Bytes)__builtin_shufflevector((U32)a, (U32)b, 0, 4, 1, 5);
}
inline Bytes zip32_high(Bytes a, Bytes b) {
  return (Bytes)__builtin_shufflevector((U32)a, (U32)b, 2, 6, 3, 7);
}
inline Bytes zip64_low(Bytes a, Bytes b) {
  return (Bytes)__builtin_shufflevector((U32)a, (U32)b, 0, 1, 4, 5);
}
inline Bytes zip64_high(Bytes a, Bytes b) {
  return (Bytes)__builtin_shufflevector((U32)a, (U32)b, 2, 3, 6, 7);
}
inline Bytes swap_qwords(Bytes x) {
  return (Bytes)__builtin_shufflevector((U32)x, (U32)x, 2, 3, 0, 1);
}

template <class Counts, bool kSwap>
inline Bytes shift_lanes(Bytes x) {
  constexpr LaneCounts<Counts> const& counts = kLaneCounts<Counts>;
  U32 y = (U32)x;
  if (kSwap) y = __builtin_shufflevector(y, y, 1, 0, 3, 2);
  if (counts.any_left) y = y << read<U32>(counts.left);
  if (counts.any_right) y = y >> read<U32>(counts.right);
  return (Bytes)y;
}

template <int first>
inline Bytes spread_bits(U32 x) {
  constexpr int bit = first % 8;
  // The byte that holds the four bits, in all bytes of the lane.
  const U32 byte = ((x >> (first - bit)) & 0xff) * 0x01010101u;
  const Bytes bits = (Bytes)(U32{} + (0x08040201u << bit));
  return (Bytes)(((Bytes)byte & bits) == bits) & 16;
}

inline Bytes select(Bytes mask, Bytes a, Bytes b) {
  return (mask & a) | (~mask & b);
}
inline Quad shuffle(Quad x, Quad order) {
  Quad y;
  for (int i = 0; i < 16; i++) y[i] = x[order[i]];
  return y;
}
inline Bytes lookup(Bytes table, Bytes index) {
  return shuffle(table, index);
}
inline I32 widen_u8(Quad x) {
  return I32{x[0], x[1], x[2], x[3]};
}
inline I32 widen_i8(Quad x) {
  typedef int8_t Signed __attribute__((vector_size(16)));
  const Signed y = (Signed)x;
  return I32{y[0], y[1], y[2], y[3]};
}

TW_INLINE F32 lanes_f16(const uint8_t* p, int64_t stride) {
  uint16_t x[4];
  for (int i = 0; i < 4; i++) x[i] = read<uint16_t>(p + i * stride);
  return load_f16(x);
}
TW_INLINE U32 lanes_u32(const uint8_t* p, int64_t stride) {
  return U32{read<uint32_t>(p), read<uint32_t>(p + stride), read<uint32_t>(p + 2 * stride),
             read<uint32_t>(p + 3 * stride)};
}
TW_INLINE I32 lanes_u8(const uint8_t* p, int64_t stride) {
  return I32{p[0], p[stride], p[2 * stride], p[3 * stride]};
}
inline I32 gather_bytes(Quad x, Bytes order) {
  return I32{x[order[0]], x[order[4]], x[order[8]], x[order[12]]};
}
inline F32 splat_f16(const uint8_t* p) {
  return splat(f16_to_f32(read<uint16_t>(p)));
}
inline F32 halves_f16(const uint8_t* p, int64_t) {
  return splat_f16(p);
}
inline F32 pairs_f16(const uint8_t* p, int64_t) {
  return halves_f16(p, 0);
}
inline F32 halves_f32(const uint8_t* p, int64_t) {
  return splat(read<float>(p));
}
inline F32 narrow_f16(U32 x) {
  uint16_t low[4];
  for (int i = 0; i < 4; i++) low[i] = static_cast<uint16_t>(x[i]);
  return load_f16(low);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
