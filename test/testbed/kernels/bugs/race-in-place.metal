// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"sameAs": "src", "type": "float"}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  dst[i] = src[63 - i];  // !race
}
