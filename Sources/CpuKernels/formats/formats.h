// Every quantized format: one header each, one line each in TW_FOR_EACH_FORMAT. Adding a format is that header and that
// line. A format is a struct of this shape (all static, in an anonymous namespace; see half.h for why):
//
//   using Block                   its bytes, from tilewright/blocks.h
//   kName, kId                    GGUF's name in lower case; `tw_format` in the kernel ABI
//   kBlock, kBytes                weights and bytes of a block
//   kGroup                        16 or 32: weights that share one scale (and one min)
//   kHasMin, kZero                w = scale * (q - kZero) - min; there is no min unless kHasMin
//   codes(block, q, scale, min)   the integer form in weight order: q[kBlock], scale[kBlock / kGroup], min likewise
//                                 (not written unless kHasMin; may then be null)
//   decode(block, out)            the float form, out[kBlock]: bit-exact with ggml
//   encode(in, block)             from in[kBlock], for the least root mean square error (fit.h tells how);
//                                 NaN counts as 0, infinities and weights beyond the format's range saturate
//
// `codes` is exact: scale * (q - kZero) - min in float, each operation rounded once, is decode's result bit for bit.
// The codes of formats with a code book (IQ4_NL, IQ4_XS, MXFP4) are the book's entries, which are whole numbers.
// Sources: the GGUF specification and ggml's type definitions for the layouts, OCP's MX specification for MXFP4.
#ifndef TILEWRIGHT_FORMATS_H
#define TILEWRIGHT_FORMATS_H

#include "iq4_nl.h"
#include "iq4_xs.h"
#include "mxfp4.h"
#include "q2_k.h"
#include "q3_k.h"
#include "q4_0.h"
#include "q4_1.h"
#include "q4_k.h"
#include "q5_0.h"
#include "q5_1.h"
#include "q5_k.h"
#include "q6_k.h"
#include "q8_0.h"
#include "q8_k.h"

#define TW_FOR_EACH_FORMAT(X) \
  X(Q4_0)                     \
  X(Q4_1)                     \
  X(Q5_0)                     \
  X(Q5_1)                     \
  X(Q8_0)                     \
  X(Q2_K)                     \
  X(Q3_K)                     \
  X(Q4_K)                     \
  X(Q5_K)                     \
  X(Q6_K)                     \
  X(Q8_K)                     \
  X(IQ4_NL)                   \
  X(IQ4_XS)                   \
  X(MXFP4)

#endif
