#include <metal_stdlib>
using namespace metal;
constant uint A [[function_constant(0)]];
constant uint B [[function_constant(0)]];  // !function-constant-duplicate
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = A + B;
}
