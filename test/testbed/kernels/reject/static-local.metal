#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  static int n = 0;  // !no-static !program-scope
  p[i] = n++;
}
