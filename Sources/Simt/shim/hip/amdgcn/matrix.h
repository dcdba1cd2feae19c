// Matrix instructions. Which lane holds which element: "CDNA2" and "CDNA3 Instruction Set Architecture", Matrix
// Arithmetic Instructions; "RDNA3" and "RDNA4 Instruction Set Architecture", Wave Matrix Multiply Accumulate. The
// layouts agree with AMD's matrix instruction calculator. Sums run over ascending k in f32 (hardware leaves the order
// open) or int.
#pragma once

namespace hip {
struct half_element {
  template <class V>
  float operator()(const V& v, uint i) const {
    return (float)v[i];
  }
};
struct bfloat_element {
  template <class V>
  float operator()(const V& v, uint i) const {
    return __builtin_bit_cast(float, (uint)(ushort)v[i] << 16);
  }
};
struct byte_element {
  bool is_signed = true;
  template <class V>
  int operator()(const V& v, uint i) const {
    const uchar raw = ((const uchar*)&v)[i];
    return is_signed ? (int)(signed char)raw : (int)raw;
  }
};

/// D = A B + C for one wave. A layout tells in which lane (beside the row of A or column of B) and element a k is, and
/// which row of D is register r of a lane.
template <class Layout, class Operand, class Sum, class Element>
struct matrix {
  struct pair {
    Operand a, b;
  };
  static_assert(sizeof(pair) <= 64, "a lane publishes 64 bytes");
  static HIP_INLINE Sum multiply(Operand a, Operand b, Sum c, Element of_a = {}, Element of_b = {}) {
    const pair mine = {a, b};
    unsigned long mask;
    const unsigned long base = simt_collect(&mine, sizeof(mine), SIMT_MMA, &mask);
    Layout::check(base, sizeof(mine));
    return sums(base, c, of_a, of_b);
  }

 private:
  // Not a part of the kernel, whose loads and stores are watched.
  static __attribute__((noinline, no_sanitize("thread", "undefined"))) Sum sums(unsigned long base, Sum c, Element of_a,
                                                                                Element of_b) {
    const uint me = simt_lane(), column = me % Layout::kSize;
    for (uint r = 0; r < Layout::kRows; r++) {
      auto sum = c[r];
      for (uint k = 0; k < Layout::kDepth; k++) {
        const uint from = Layout::lane(k), i = Layout::element(k);
        sum += of_a(((const pair*)(base + 64 * (Layout::row(me, r) + from)))->a, i) *
               of_b(((const pair*)(base + 64 * (column + from)))->b, i);
      }
      c[r] = sum;
    }
    return c;
  }
};

#ifdef HIP_HAS_MFMA
/// MFMA: a lane holds kHeld neighbours along k of row lane % kSize of A and of that column of B; four rows of D follow
/// each other in a lane, then come those of the other groups of lanes.
template <uint kS, uint kHeld>
struct mfma {
  static constexpr uint kSize = kS, kGroups = 64 / kS, kDepth = kHeld * kGroups, kRows = kS * kS / 64;
  static HIP_INLINE uint row(uint lane, uint r) { return r / 4 * 4 * kGroups + 4 * (lane / kS) + r % 4; }
  static HIP_INLINE uint lane(uint k) { return k / kHeld * kS; }
  static HIP_INLINE uint element(uint k) { return k % kHeld; }
  static HIP_INLINE void check(unsigned long, uint) {}
};
#endif

#if HIP_GFX == 11 && HIP_WAVE == 32
/// RDNA3: a lane holds a whole row of A and column of B; lanes 16 to 31 repeat lanes 0 to 15. Rows of D alternate
/// between the halves of the wave.
struct wmma {
  static constexpr uint kSize = 16, kDepth = 16, kRows = 8;
  static HIP_INLINE uint row(uint lane, uint r) { return 2 * r + lane / 16; }
  static HIP_INLINE uint lane(uint) { return 0; }
  static HIP_INLINE uint element(uint k) { return k; }
  static HIP_INLINE void check(unsigned long base, uint bytes) {
    if (simt_lane() >= 16) return;
    const unsigned long mine = base + 64 * simt_lane();
    if (__builtin_memcmp((const void*)mine, (const void*)(mine + 64 * 16), bytes) != 0) {
      simt_report("matrix-operand", "lanes 16 to 31 have to hold the same rows of A and columns of B as lanes 0 to 15");
    }
  }
};
#endif
#if HIP_GFX == 12 && HIP_WAVE == 32
/// RDNA4: k is shared between the halves of the wave, four 16-bit elements (or eight bytes) in turn; the lower half
/// holds rows 0 to 7 of D.
template <uint kTurn>
struct wmma {
  static constexpr uint kSize = 16, kDepth = 16, kRows = 8;
  static HIP_INLINE uint row(uint lane, uint r) { return 8 * (lane / 16) + r; }
  static HIP_INLINE uint lane(uint k) { return k / kTurn % 2 * 16; }
  static HIP_INLINE uint element(uint k) { return k / (2 * kTurn) * kTurn + k % kTurn; }
  static HIP_INLINE void check(unsigned long, uint) {}
};
#endif
}  // namespace hip

#define HIP_MATRIX(name, layout, operand, sum, element)                             \
  HIP_INLINE sum name(operand a, operand b, sum c, int, int, int) {                 \
    return hip::matrix<hip::layout, operand, sum, hip::element>::multiply(a, b, c); \
  }
#define HIP_COMMA ,
#ifdef HIP_HAS_MFMA
HIP_MATRIX(__builtin_amdgcn_mfma_f32_16x16x16f16, mfma<16 HIP_COMMA 4>, simt_half4, simt_float4, half_element)
HIP_MATRIX(__builtin_amdgcn_mfma_f32_32x32x8f16, mfma<32 HIP_COMMA 4>, simt_half4, simt_float16, half_element)
#endif
#ifdef HIP_HAS_MFMA_BF16_1K
HIP_MATRIX(__builtin_amdgcn_mfma_f32_16x16x16bf16_1k, mfma<16 HIP_COMMA 4>, simt_short4, simt_float4, bfloat_element)
HIP_MATRIX(__builtin_amdgcn_mfma_f32_32x32x8bf16_1k, mfma<32 HIP_COMMA 4>, simt_short4, simt_float16, bfloat_element)
#endif
#ifdef HIP_HAS_MFMA_I8_SHORT
HIP_MATRIX(__builtin_amdgcn_mfma_i32_16x16x16i8, mfma<16 HIP_COMMA 4>, int, simt_int4, byte_element)
HIP_MATRIX(__builtin_amdgcn_mfma_i32_32x32x8i8, mfma<32 HIP_COMMA 4>, int, simt_int16, byte_element)
#endif
#ifdef __gfx942__
HIP_MATRIX(__builtin_amdgcn_mfma_i32_16x16x32_i8, mfma<16 HIP_COMMA 8>, long, simt_int4, byte_element)
HIP_MATRIX(__builtin_amdgcn_mfma_i32_32x32x16_i8, mfma<32 HIP_COMMA 8>, long, simt_int16, byte_element)
#endif

#define HIP_WMMA(name, layout, operand, element)                                            \
  HIP_INLINE simt_float8 name(operand a, operand b, simt_float8 c) {                        \
    return hip::matrix<hip::layout, operand, simt_float8, hip::element>::multiply(a, b, c); \
  }
#define HIP_WMMA_IU8(name, layout, operand)                                                          \
  HIP_INLINE simt_int8 name(bool a_signed, operand a, bool b_signed, operand b, simt_int8 c, bool) { \
    return hip::matrix<hip::layout, operand, simt_int8, hip::byte_element>::multiply(                \
        a, b, c, hip::byte_element{a_signed}, hip::byte_element{b_signed});                          \
  }
#if HIP_GFX == 11 && HIP_WAVE == 32
HIP_WMMA(__builtin_amdgcn_wmma_f32_16x16x16_f16_w32, wmma, simt_half16, half_element)
HIP_WMMA(__builtin_amdgcn_wmma_f32_16x16x16_bf16_w32, wmma, simt_short16, bfloat_element)
HIP_WMMA_IU8(__builtin_amdgcn_wmma_i32_16x16x16_iu8_w32, wmma, simt_int4)
#elif HIP_GFX == 12 && HIP_WAVE == 32
HIP_WMMA(__builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12, wmma<4>, simt_half8, half_element)
HIP_WMMA(__builtin_amdgcn_wmma_f32_16x16x16_bf16_w32_gfx12, wmma<4>, simt_short8, bfloat_element)
HIP_WMMA_IU8(__builtin_amdgcn_wmma_i32_16x16x16_iu8_w32_gfx12, wmma<8>, simt_int2)
#endif
