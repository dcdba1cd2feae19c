// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 8, "buffers": {"src": {"type": "half", "count": 64, "value": 1}, "dst": {"type": "float", "count": 8, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const half* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  const half4 v = *(device const half4*)(src + i * 7);  // !misaligned
  dst[i] = v.x + v.w;
}
