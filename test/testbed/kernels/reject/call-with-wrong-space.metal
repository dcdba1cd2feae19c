#include <metal_stdlib>
using namespace metal;
inline void f(device float* x) { *x = 1; }
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float x = p[i];
  f(&x);  // !type
  p[i] = x;
}
