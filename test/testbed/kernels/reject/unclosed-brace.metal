#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {  // !rewrite
  if (p[i] > 0) {
    p[i] = 1;
}
