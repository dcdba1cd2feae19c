#include <metal_stdlib>
using namespace metal;
inline float f(float x, uint i) {
  threadgroup float s[32];  // !threadgroup-outside-kernel !address-space
  s[i] = x;
  return s[0];
}
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = f(p[i], i);
}
