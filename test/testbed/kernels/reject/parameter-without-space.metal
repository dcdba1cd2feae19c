#include <metal_stdlib>
using namespace metal;
inline float f(const device float* x) { return *x; }
inline float g(const float* x) { return *x; }  // !pointer-space
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float x = f(&p[i]);
  p[i] = x;
}
