// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"dst": {"type": "float", "count": 64, "output": true}}, "threadgroupMemory": [32784]}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(1)]], threadgroup float* s [[threadgroup(0)]], uint t [[thread_position_in_threadgroup]]) {  // !threadgroup-memory
  s[t] = t;
  dst[t] = s[t];
}
