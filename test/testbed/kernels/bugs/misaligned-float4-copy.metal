// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 4, "buffers": {"src": {"type": "float", "count": 16, "value": 1}, "dst": {"type": "float", "count": 18, "value": 0}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  device float4* to = (device float4*)(dst + 2);
  to[i] = ((device const float4*)src)[i];  // !misaligned
}
