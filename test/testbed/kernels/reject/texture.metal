#include <metal_stdlib>
using namespace metal;
kernel void k(texture2d<float> t [[texture(0)]], device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {  // !attribute-unknown !undeclared
  p[i] = 1;
}
