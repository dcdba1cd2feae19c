#include "kernels.h"

namespace tw {
namespace TW_ISA {

const QuantKernels quant = {quantize_q8, quant_gemv, quant_gemm};

}  // namespace TW_ISA
}  // namespace tw
