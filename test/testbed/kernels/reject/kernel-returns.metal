#include <metal_stdlib>
using namespace metal;
kernel float k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {  // !kernel-return
  return p[i];
}
