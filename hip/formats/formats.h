// Every block-quantized format: TW_FOR_EACH_FORMAT(X) expands X(type, name in symbols).
#pragma once
#include "k4.h"

#define TW_FOR_EACH_FORMAT(X) \
  X(Q4_K, q4_k)               \
  X(Q5_K, q5_k)
