#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  thread float* t = new float(1);  // !no-allocation !type
  p[i] = *t;
}
