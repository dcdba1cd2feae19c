// Kernels that show what the driver does: arguments, order, faults.
struct scale_params {
  long count;
  float factor;
};

#if defined(TW_FORMAT)  // the twin: the symbol of another kernel
#define TIMES 2
#else
#define TIMES 1
#endif
extern "C" __global__ __launch_bounds__(64) void scale(const float* x, const float* bias, float* y, scale_params p) {
  const long i = (long)blockIdx.x * 64 + threadIdx.x;
  if (i < p.count) y[i] = TIMES * x[i] * p.factor + (bias == nullptr ? 0.0f : bias[i]);
}

// Reads behind its buffer.
extern "C" __global__ __launch_bounds__(64) void astray(const float* x, const float* bias, float* y, scale_params p) {
  y[threadIdx.x] = x[p.count + 1000000 + threadIdx.x];
}
