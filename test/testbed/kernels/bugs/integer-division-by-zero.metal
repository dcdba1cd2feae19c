// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "uint", "count": 64, "value": 3}, "n": {"type": "uint", "values": [0]}, "dst": {"type": "uint", "count": 64, "output": true, "mustWrite": false}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const uint* src [[buffer(0)]], constant uint& n [[buffer(1)]], device uint* dst [[buffer(2)]],
              uint i [[thread_position_in_grid]]) {
  dst[i] = src[i] % n;  // !integer-division
}
