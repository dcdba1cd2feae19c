#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], device const float* q [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  q[i] = 1;  // !constant-write
}
