// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 128, "buffers": {"dst": {"type": "float", "count": 128, "output": true}}}
#include <metal_stdlib>
using namespace metal;
[[max_total_threads_per_threadgroup(64)]] kernel void k(device float* dst [[buffer(1)]],  // !launch
                                                        uint i [[thread_position_in_grid]]) {
  dst[i] = 1;
}
