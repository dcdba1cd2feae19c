#include <metal_stdlib>
using namespace metal;
float x = 1;  // !program-scope
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = x;
}
