#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = __shfl_down_sync(0xffffffff, p[i], 1);  // !undeclared
}
