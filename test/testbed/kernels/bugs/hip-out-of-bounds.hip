// run: {"kernel": "k", "grid": {"threadgroups": 2}, "group": 128, "buffers": {"src": {"type": "float", "count": 200, "random": {"seed": 1}}, "dst": {"type": "float", "count": 200, "output": true}, "n": {"type": "int", "values": [201]}}}
#include <hip/hip_runtime.h>
__global__ void k(const float* src, float* dst, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) dst[i] = src[i];  // !out-of-bounds
}
