// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 4, "buffers": {"src": {"type": "uchar", "count": 72, "value": 1}, "dst": {"type": "uint", "count": 4, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const uchar* src [[buffer(0)]], device uint* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  dst[i] = *(device const uint*)(src + i * 18 + 2);  // !misaligned
}
