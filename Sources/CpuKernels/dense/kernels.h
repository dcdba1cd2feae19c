// The kernels of this folder, compiled once per instruction set.
#pragma once

#include "../kernel.h"

namespace tw {
namespace TW_ISA {

void matmul_reference(const Launch& launch, Pool& pool);
void gemm(const Launch& launch, Pool& pool);
void gemv(const Launch& launch, Pool& pool);
void copy(const Launch& launch, Pool& pool);
void dequantize(const Launch& launch, Pool& pool);
void get_rows(const Launch& launch, Pool& pool);
void softmax(const Launch& launch, Pool& pool);
void probe_read(const Launch& launch, Pool& pool);
void probe_peak(const Launch& launch, Pool& pool);

extern const DenseKernels dense;

}  // namespace TW_ISA
}  // namespace tw
