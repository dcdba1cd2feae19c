#include <metal_stdlib>
using namespace metal;
constant uint N [[function_constant(0)]];
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float t[N];  // !type
  t[0] = p[i];
  p[i] = t[0];
}
