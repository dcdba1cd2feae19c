#include <hip/hip_runtime.h>
__global__ void k(float* p) {
  p[threadIdx.x] = __dp4a(1, 2, 3);  // !undeclared
}
