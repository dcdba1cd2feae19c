#include <metal_stdlib>
using namespace metal;
uint A [[function_constant(0)]];  // !function-constant-space
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = A;
}
