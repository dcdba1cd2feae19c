// GGUF block layouts, byte for byte, shared by every back end (C, C++, Swift's clang importer, HIP, MSL).
// Source: the GGUF specification and ggml's type definitions. Every member is an integer so that the header needs
// nothing but fixed-width types; `tw_f16` holds the bits of an IEEE half, `tw_e8m0` an 8-bit power-of-two exponent.
#ifndef TILEWRIGHT_BLOCKS_H
#define TILEWRIGHT_BLOCKS_H

#if defined(__METAL_VERSION__)
typedef uchar tw_u8;
typedef char tw_i8;
typedef ushort tw_u16;
typedef short tw_i16;
typedef uint tw_u32;
typedef int tw_i32;
typedef float tw_f32;
#else
#include <stdint.h>
typedef uint8_t tw_u8;
typedef int8_t tw_i8;
typedef uint16_t tw_u16;
typedef int16_t tw_i16;
typedef uint32_t tw_u32;
typedef int32_t tw_i32;
typedef float tw_f32;
#endif
typedef tw_u16 tw_f16;
typedef tw_u8 tw_e8m0;

#define TW_SUPER 256 /* weights in a K-quant super-block */

// One line per format.
// clang-format off
// 32 weights: w = d * (q - 8), q in 0..15; byte j holds weight j (low nibble) and weight j + 16 (high nibble).
typedef struct { tw_f16 d; tw_u8 qs[16]; } tw_block_q4_0;
// 32 weights: w = d * q + m.
typedef struct { tw_f16 d; tw_f16 m; tw_u8 qs[16]; } tw_block_q4_1;
// 32 weights: w = d * (q - 16), q in 0..31; qh holds the fifth bits, bit j for weight j.
typedef struct { tw_f16 d; tw_u8 qh[4]; tw_u8 qs[16]; } tw_block_q5_0;
// 32 weights: w = d * q + m.
typedef struct { tw_f16 d; tw_f16 m; tw_u8 qh[4]; tw_u8 qs[16]; } tw_block_q5_1;
// 32 weights: w = d * q, q signed.
typedef struct { tw_f16 d; tw_i8 qs[32]; } tw_block_q8_0;
// 256 weights in 16 sub-blocks of 16: w = d * sc * q - dmin * m; scales holds sc (low) and m (high), 4 bits each.
typedef struct { tw_u8 scales[16]; tw_u8 qs[64]; tw_f16 d; tw_f16 dmin; } tw_block_q2_k;
// 256 weights in 16 sub-blocks of 16: w = d * (sc - 32) * (q - 4); 6-bit scales packed in 12 bytes.
typedef struct { tw_u8 hmask[32]; tw_u8 qs[64]; tw_u8 scales[12]; tw_f16 d; } tw_block_q3_k;
// 256 weights in 8 sub-blocks of 32: w = d * sc * q - dmin * m; 6-bit scales and mins packed in 12 bytes.
typedef struct { tw_f16 d; tw_f16 dmin; tw_u8 scales[12]; tw_u8 qs[128]; } tw_block_q4_k;
// As Q4_K with a fifth bit per weight in qh.
typedef struct { tw_f16 d; tw_f16 dmin; tw_u8 scales[12]; tw_u8 qh[32]; tw_u8 qs[128]; } tw_block_q5_k;
// 256 weights in 16 sub-blocks of 16: w = d * sc * (q - 32), sc signed 8-bit.
typedef struct { tw_u8 ql[128]; tw_u8 qh[64]; tw_i8 scales[16]; tw_f16 d; } tw_block_q6_k;
// 256 weights: w = d * q; bsums are sums of 16 codes (ggml's activation format).
typedef struct { tw_f32 d; tw_i8 qs[256]; tw_i16 bsums[16]; } tw_block_q8_k;
// 32 weights: w = d * table[q], a 16-entry non-linear code book.
typedef struct { tw_f16 d; tw_u8 qs[16]; } tw_block_iq4_nl;
// 256 weights in 8 sub-blocks of 32: w = d * (sc - 32) * table[q]; 6-bit scales split in scales_l and scales_h.
typedef struct { tw_f16 d; tw_u16 scales_h; tw_u8 scales_l[4]; tw_u8 qs[128]; } tw_block_iq4_xs;
// 32 weights: w = 2^(e - 127) * e2m1[q].
typedef struct { tw_e8m0 e; tw_u8 qs[16]; } tw_block_mxfp4;
// clang-format on

#define TW_CHECK_SIZE(type, bytes) typedef char type##_has_##bytes##_bytes[sizeof(type) == (bytes) ? 1 : -1]
TW_CHECK_SIZE(tw_block_q4_0, 18);
TW_CHECK_SIZE(tw_block_q4_1, 20);
TW_CHECK_SIZE(tw_block_q5_0, 22);
TW_CHECK_SIZE(tw_block_q5_1, 24);
TW_CHECK_SIZE(tw_block_q8_0, 34);
TW_CHECK_SIZE(tw_block_q2_k, 84);
TW_CHECK_SIZE(tw_block_q3_k, 110);
TW_CHECK_SIZE(tw_block_q4_k, 144);
TW_CHECK_SIZE(tw_block_q5_k, 176);
TW_CHECK_SIZE(tw_block_q6_k, 210);
TW_CHECK_SIZE(tw_block_q8_k, 292);
TW_CHECK_SIZE(tw_block_iq4_nl, 18);
TW_CHECK_SIZE(tw_block_iq4_xs, 136);
TW_CHECK_SIZE(tw_block_mxfp4, 17);
#undef TW_CHECK_SIZE

#endif
