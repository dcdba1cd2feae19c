#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  if (p[i] < 0) throw 1;  // !no-exceptions !type
}
