#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], int3 i [[thread_position_in_grid]]) {  // !argument-type
  p[i.x] = 1;
}
