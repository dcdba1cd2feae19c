// The entry points of this folder, one set per instruction set.
#pragma once

#include "../kernel.h"

namespace tw {
namespace TW_ISA {

void quantize_q8(const Launch& launch, Pool& pool);
void quant_gemv(const Launch& launch, Pool& pool);
void quant_gemm(const Launch& launch, Pool& pool);

extern const QuantKernels quant;

}  // namespace TW_ISA
}  // namespace tw
