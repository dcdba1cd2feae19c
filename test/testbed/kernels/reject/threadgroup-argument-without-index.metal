#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], threadgroup float* s, uint i [[thread_position_in_grid]]) {  // !attribute-missing
  p[i] = s[i];
}
