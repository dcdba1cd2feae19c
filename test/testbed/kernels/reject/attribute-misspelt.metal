#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_gird]]) {  // !attribute-unknown
  p[i] = 1;
}
