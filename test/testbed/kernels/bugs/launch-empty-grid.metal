// run: {"kernel": "k", "grid": {"threadgroups": 0}, "group": 64, "buffers": {"dst": {"type": "float", "count": 64, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {  // !launch
  dst[i] = 1;
}
