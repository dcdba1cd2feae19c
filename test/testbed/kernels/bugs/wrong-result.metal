// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 4, "buffers": {"src": {"type": "float", "values": [1, 2, 3, 4]}, "dst": {"type": "float", "count": 4, "output": true, "expect": {"values": [2, 4, 6, 9], "absolute": 1e-06}}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]],  // !wrong-result
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  dst[i] = src[i] * 2;
}
