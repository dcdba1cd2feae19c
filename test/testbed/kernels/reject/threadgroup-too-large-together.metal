#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float s[6000];
  threadgroup half t[6000];  // !threadgroup-memory
  s[i] = t[i];
  p[i] = s[i];
}
