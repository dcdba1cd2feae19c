// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"dst": {"type": "half", "count": 64, "output": true}, "src": {"type": "float", "count": 64, "random": {"seed": 1}}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device half* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  dst[i] = half(src[i]);  // !race
  if (i > 0) dst[i - 1] = half(0);  // !race
}
