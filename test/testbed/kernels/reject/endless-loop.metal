#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  while (true) {  // !endless-loop
    p[i] += 1;
  }
}
