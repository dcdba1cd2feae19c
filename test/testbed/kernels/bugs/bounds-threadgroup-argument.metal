// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true}}, "threadgroupMemory": [252]}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], threadgroup float* s [[threadgroup(0)]],
              uint t [[thread_position_in_threadgroup]]) {
  s[t] = src[t];  // !out-of-bounds
  threadgroup_barrier(mem_flags::mem_threadgroup);
  dst[t] = s[0];
}
