#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float s[32];
  device float* d = s;  // !address-space
  d[i] = p[i];
}
