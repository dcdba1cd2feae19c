#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(31)]], uint i [[thread_position_in_grid]]) {  // !buffer-index
  p[i] = 1;
}
