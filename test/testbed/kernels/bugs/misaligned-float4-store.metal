// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 4, "buffers": {"dst": {"type": "float", "count": 18, "value": 0}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  *(device float4*)(dst + 2 + i * 4) = float4(i);  // !misaligned
}
