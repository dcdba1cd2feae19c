// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 128, "buffers": {"src": {"type": "float", "count": 128, "random": {"seed": 1}}, "dst": {"type": "float", "count": 128, "output": true}}}
#include <hip/hip_runtime.h>
__global__ void k(const float* src, float* dst) {
  __shared__ float s[128];
  s[threadIdx.x] = src[threadIdx.x];  // !race
  dst[threadIdx.x] = s[127 - threadIdx.x];  // !race !uninitialised-read
}
