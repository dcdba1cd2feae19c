#include <metal_stdlib>
using namespace metal;
kernel void k(thread float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {  // !argument-type
  p[i] = 1;
}
