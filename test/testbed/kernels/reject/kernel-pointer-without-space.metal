#include <metal_stdlib>
using namespace metal;
kernel void k(float* p, uint i [[thread_position_in_grid]]) {  // !kernel-pointer-space !pointer-space
  p[i] = 1;
}
