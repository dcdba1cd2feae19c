#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], float i [[thread_position_in_grid]]) {  // !argument-type
  p[0] = i;
}
