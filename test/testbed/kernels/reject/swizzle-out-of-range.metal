#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float2 v = float2(p[i]);
  p[i] = v.z;  // !undeclared
}
