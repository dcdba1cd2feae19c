// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "float", "count": 256, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint t [[thread_position_in_threadgroup]]) {
  threadgroup float tile[64];
  float sum = 0;
  for (int k0 = 0; k0 < 256; k0 += 64) {
    tile[t] = src[k0 + t];  // !race
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (int n = 0; n < 64; n++) sum += tile[n];
    threadgroup_barrier(mem_flags::mem_none);
  }
  dst[t] = sum;
}
