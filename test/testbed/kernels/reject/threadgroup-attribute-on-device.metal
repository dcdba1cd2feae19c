#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {  // !argument-type
  p[i] = 1;
}
