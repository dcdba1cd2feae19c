#include <metal_stdlib>
using namespace metal;
inline float g(uint n);
inline float f(uint n) { return n == 0 ? 1.0f : g(n - 1); }  // !no-recursion
inline float g(uint n) { return n == 0 ? 2.0f : f(n - 1); }  // !no-recursion
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = f(i);
}
