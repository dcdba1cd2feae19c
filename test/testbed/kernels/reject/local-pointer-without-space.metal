#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float x = p[i];
  float* t = &x;  // !pointer-space
  p[i] = *t;
}
