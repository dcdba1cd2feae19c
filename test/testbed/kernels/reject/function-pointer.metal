#include <metal_stdlib>
using namespace metal;
inline float g(float x) { return x; }
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float (*f)(float) = g;  // !function-pointer
  p[i] = f(1);
}
