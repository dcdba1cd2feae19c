// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 32, "buffers": {"dst": {"type": "float", "count": 32, "output": true, "mustWrite": false}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  device float* p = i < 40 ? nullptr : dst;
  p[i] = 1;  // !out-of-bounds
}
