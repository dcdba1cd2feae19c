#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  thread float* t = reinterpret_cast<thread float*>(p);  // !type
  t[0] = 1;
}
