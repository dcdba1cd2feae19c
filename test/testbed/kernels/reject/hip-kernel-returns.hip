#include <hip/hip_runtime.h>
__global__ int k(float* p) {  // !kernel-return
  p[threadIdx.x] = 1;
  return 0;
}
