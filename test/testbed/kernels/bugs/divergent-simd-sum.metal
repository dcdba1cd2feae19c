// run: {"kernel": "k", "grid": {"threadgroups": 2}, "group": 64, "buffers": {"src": {"type": "float", "count": 128, "random": {"seed": 1}}, "dst": {"type": "float", "count": 128, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  float x = 0;
  if (lane < 16) x = simd_sum(src[i]);  // !divergent-collective
  dst[i] = x;
}
