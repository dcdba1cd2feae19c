// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 32, "buffers": {"dst": {"type": "float", "count": 32, "output": true, "mustWrite": false}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device float* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {  // !stack-overflow
  float big[100000];
  for (int n = 0; n < 100000; n++) big[n] = i + n;
  dst[i] = big[i * 7];
}
