#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]],
              uint2 n [[threads_per_grid]]) {  // !builtin-length
  p[i] = n.x;
}
