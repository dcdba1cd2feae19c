#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) { p[i] = 1; }
kernel void k(device half* p [[buffer(0)]], uint i [[thread_position_in_grid]]) { p[i] = 1; }  // !kernel-overload
