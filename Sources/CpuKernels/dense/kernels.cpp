#include "kernels.h"

namespace tw {
namespace TW_ISA {

const DenseKernels dense = {matmul_reference, gemm, gemv, copy, dequantize, softmax, probe_read, probe_peak, get_rows};

}  // namespace TW_ISA
}  // namespace tw
