// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 1025, "buffers": {"dst": {"type": "float", "count": 1025, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {  // !launch
  dst[i] = 1;
}
