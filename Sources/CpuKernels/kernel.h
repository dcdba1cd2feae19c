// What a CPU kernel is: a function of a launch and a pool. Kernels are compiled once per instruction set with
// -DTW_ISA=<name>; everything they define lives in tw::TW_ISA, so that the linker can never pick an AVX-512 copy of an
// inline function for a machine that lacks it (`make check-isa` proves that no weak symbol is left).
#pragma once

#include <tilewright/params.h>

#include "pool/pool.h"

namespace tw {

/// One launch, as the kernel declaration in ts/kernels describes it. Bounds were checked before it was submitted.
struct Launch {
  const void* params;
  const tw_u32* constants;
  /// In declaration order; a buffer that was left out is null.
  void* const* buffers;

  /// Always inlined: an out-of-line copy would be a weak symbol.
  template <class Params>
  __attribute__((always_inline)) const Params& as() const {
    return *static_cast<const Params*>(params);
  }
};

using Kernel = void (*)(const Launch&, Pool&);

/// Kernels of Sources/CpuKernels/dense, one set per instruction set.
struct DenseKernels {
  Kernel matmul_reference, gemm, gemv, copy, dequantize, softmax, probe_read, probe_peak, get_rows;
};

/// Kernels of Sources/CpuKernels/quant, one set per instruction set.
struct QuantKernels {
  Kernel quantize_q8, quant_gemv, quant_gemm;
};

}  // namespace tw
