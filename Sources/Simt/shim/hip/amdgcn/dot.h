// Dot products and bit fields within a lane: the VOP3P and VOP3 chapters of the "Vega 7nm", "RDNA2" and "RDNA3"
// Instruction Set Architectures (V_DOT4_I32_I8, V_DOT4_I32_IU8, V_DOT8_*, V_DOT2_F32_F16, V_PERM_B32, V_BFE_*,
// V_ALIGN*_B32).
#pragma once

namespace hip {
HIP_INLINE int saturate(long x, bool clamp) {
  if (clamp) x = x > 2147483647l ? 2147483647l : x < -2147483648l ? -2147483648l : x;
  return (int)x;
}
template <int kBits>
HIP_INLINE int field(int x, int i, bool is_signed) {
  const uint raw = (uint)x >> kBits * i & ((1u << kBits) - 1);
  return is_signed ? (int)(raw << (32 - kBits)) >> (32 - kBits) : (int)raw;
}
template <int kBits>
HIP_INLINE int dot(bool a_signed, int a, bool b_signed, int b, int c, bool clamp) {
  long sum = c;
  for (int i = 0; i < 32 / kBits; i++) sum += (long)(field<kBits>(a, i, a_signed) * field<kBits>(b, i, b_signed));
  return saturate(sum, clamp);
}
}  // namespace hip

#ifdef HIP_HAS_SDOT4
HIP_INLINE int __builtin_amdgcn_sdot4(int a, int b, int c, bool clamp) {
  return hip::dot<8>(true, a, true, b, c, clamp);
}
HIP_INLINE int __builtin_amdgcn_sdot8(int a, int b, int c, bool clamp) {
  return hip::dot<4>(true, a, true, b, c, clamp);
}
#endif
#ifdef HIP_HAS_SUDOT4
HIP_INLINE int __builtin_amdgcn_sudot4(bool a_signed, int a, bool b_signed, int b, int c, bool clamp) {
  return hip::dot<8>(a_signed, a, b_signed, b, c, clamp);
}
HIP_INLINE int __builtin_amdgcn_sudot8(bool a_signed, int a, bool b_signed, int b, int c, bool clamp) {
  return hip::dot<4>(a_signed, a, b_signed, b, c, clamp);
}
#endif
HIP_INLINE uint __builtin_amdgcn_udot4(uint a, uint b, uint c, bool clamp) {
  ulong sum = c;
  for (int i = 0; i < 4; i++) sum += (ulong)(a >> 8 * i & 255) * (b >> 8 * i & 255);
  return clamp && sum > 4294967295ul ? 4294967295u : (uint)sum;
}
/// Products of f16 are exact in f32.
HIP_INLINE float __builtin_amdgcn_fdot2(simt_half2 a, simt_half2 b, float c, bool) {
  return (float)a[0] * (float)b[0] + ((float)a[1] * (float)b[1] + c);
}

/// Four of the eight bytes of a (4 to 7) and b (0 to 3); selectors above 7 give signs and constants.
HIP_INLINE uint __builtin_amdgcn_perm(uint a, uint b, uint selector) {
  const ulong bytes = (ulong)a << 32 | b;
  uint r = 0;
  for (int i = 0; i < 4; i++) {
    const uint s = selector >> 8 * i & 255;
    uint value = 0xFF;
    if (s < 8) {
      value = (uint)(bytes >> 8 * s) & 255;
    } else if (s < 12) {
      value = bytes >> (16 * (s - 8) + 15) & 1 ? 0xFF : 0;
    } else if (s == 12) {
      value = 0;
    }
    r |= value << 8 * i;
  }
  return r;
}
HIP_INLINE uint __builtin_amdgcn_alignbit(uint high, uint low, uint shift) {
  return (uint)(((ulong)high << 32 | low) >> (shift & 31));
}
HIP_INLINE uint __builtin_amdgcn_alignbyte(uint high, uint low, uint bytes) {
  return (uint)(((ulong)high << 32 | low) >> 8 * (bytes & 3));
}
HIP_INLINE uint __builtin_amdgcn_ubfe(uint x, uint offset, uint width) {
  return x >> (offset & 31) & ((1u << (width & 31)) - 1);
}
HIP_INLINE int __builtin_amdgcn_sbfe(int x, uint offset, uint width) {
  const uint w = width & 31, raw = __builtin_amdgcn_ubfe((uint)x, offset, width);
  return w == 0 ? 0 : (int)(raw << (32 - w)) >> (32 - w);
}
