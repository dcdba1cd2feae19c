#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float s[8193];  // !threadgroup-memory
  s[i] = p[i];
  p[i] = s[i];
}
