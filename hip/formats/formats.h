// Every block-quantized format: TW_FOR_EACH_FORMAT(X) expands X(type, name in symbols).
#pragma once
#include "k2.h"
#include "k4.h"
#include "q6_k.h"
#include "q8_k.h"
#include "small.h"
#include "table.h"

#define TW_FOR_EACH_FORMAT(X) \
  X(Q4_0, q4_0)               \
  X(Q4_1, q4_1)               \
  X(Q5_0, q5_0)               \
  X(Q5_1, q5_1)               \
  X(Q8_0, q8_0)               \
  X(Q2_K, q2_k)               \
  X(Q3_K, q3_k)               \
  X(Q4_K, q4_k)               \
  X(Q5_K, q5_k)               \
  X(Q6_K, q6_k)               \
  X(Q8_K, q8_k)               \
  X(IQ4_NL, iq4_nl)           \
  X(IQ4_XS, iq4_xs)           \
  X(MXFP4, mxfp4)
