#include "isa.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#ifndef HWCAP2_I8MM
#define HWCAP2_I8MM (1 << 13)
#endif
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__x86_64__)
#define TW_FOR_EACH_ISA(X) X(avx512) X(avxvnni) X(avx2) X(generic)
#elif defined(__aarch64__)
#define TW_FOR_EACH_ISA(X) X(i8mm) X(dotprod) X(neon) X(generic)
#else
#define TW_FOR_EACH_ISA(X) X(generic)
#endif

namespace tw {

#define TW_DECLARE(isa)            \
  namespace isa {                  \
  extern const DenseKernels dense; \
  extern const QuantKernels quant; \
  }
TW_FOR_EACH_ISA(TW_DECLARE)
#undef TW_DECLARE

namespace {

[[maybe_unused]] bool runs_generic() {
  return true;
}

#if defined(__x86_64__)
// The compiler's built-ins also ask the operating system whether it saves the wide registers.
bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("bmi2");
}
bool runs_avxvnni() {
  // CPUID.(7,1):EAX[4]; older compilers do not know the name.
  unsigned a = 7, b = 0, c = 1, d = 0;
  unsigned highest = 0;
  asm("cpuid" : "=a"(highest), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
  if (highest < 7) return false;
  asm("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(1));
  return runs_avx2() && (a & (1u << 4)) != 0;
}
bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}
#elif defined(__aarch64__)
bool runs_neon() {
  return true;
}
#if defined(__linux__)
bool runs_dotprod() {
  return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}
bool runs_i8mm() {
  return runs_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}
#elif defined(__APPLE__)
bool has_feature(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool runs_dotprod() {
  return has_feature("hw.optional.arm.FEAT_DotProd");
}
bool runs_i8mm() {
  return runs_dotprod() && has_feature("hw.optional.arm.FEAT_I8MM");
}
#else
bool runs_dotprod() {
  return false;
}
bool runs_i8mm() {
  return false;
}
#endif
#endif

Isa make(const char* name, bool supported, const DenseKernels& d, const QuantKernels& q) {
  Isa isa{name, supported, {}};
  isa.kernels[TW_KERNEL_MATMUL_REFERENCE] = d.matmul_reference;
  isa.kernels[TW_KERNEL_GEMM] = d.gemm;
  isa.kernels[TW_KERNEL_GEMV] = d.gemv;
  isa.kernels[TW_KERNEL_QUANTIZE_Q8] = q.quantize_q8;
  isa.kernels[TW_KERNEL_QUANT_GEMV] = q.quant_gemv;
  isa.kernels[TW_KERNEL_QUANT_GEMM] = q.quant_gemm;
  isa.kernels[TW_KERNEL_COPY] = d.copy;
  isa.kernels[TW_KERNEL_DEQUANTIZE] = d.dequantize;
  isa.kernels[TW_KERNEL_SOFTMAX] = d.softmax;
  isa.kernels[TW_KERNEL_PROBE_READ] = d.probe_read;
  isa.kernels[TW_KERNEL_PROBE_PEAK] = d.probe_peak;
  isa.kernels[TW_KERNEL_GET_ROWS] = d.get_rows;
  return isa;
}

}  // namespace

const std::vector<Isa>& isas() {
#define TW_ENTRY(isa) make(#isa, runs_##isa(), isa::dense, isa::quant),
  static const std::vector<Isa> all = {TW_FOR_EACH_ISA(TW_ENTRY)};
#undef TW_ENTRY
  return all;
}

const Isa* find_isa(const std::string& name) {
  for (const Isa& isa : isas()) {
    if (isa.supported && (name.empty() || name == isa.name)) return &isa;
  }
  return nullptr;
}

}  // namespace tw
