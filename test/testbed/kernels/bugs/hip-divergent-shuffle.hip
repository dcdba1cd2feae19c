// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true, "unordered": true}}}
#include <hip/hip_runtime.h>
__global__ void k(const float* src, float* dst) {
  float x = src[threadIdx.x];
  if (threadIdx.x % 64 < 20) x += __shfl_xor(x, 1);  // !divergent-collective
  dst[threadIdx.x] = x;
}
