// run: {"kernel": "in_place", "grid": {"threads": 100}, "group": 32, "buffers": {"src": {"type": "float", "count": 100, "value": 3}, "dst": {"type": "float", "sameAs": "src"}}}
#include <metal_stdlib>
using namespace metal;
// Bound to one buffer: each thread reads and writes its own element only.
kernel void in_place(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]],
                     uint i [[thread_position_in_grid]]) {
  dst[i] = src[i] * 2;
}
