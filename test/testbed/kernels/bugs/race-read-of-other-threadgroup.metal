// run: {"kernel": "k", "grid": {"threadgroups": 2}, "group": 64, "buffers": {"src": {"type": "float", "count": 128, "random": {"seed": 1}}, "dst": {"type": "float", "count": 128, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], uint i [[thread_position_in_grid]],
              uint t [[thread_position_in_threadgroup]], uint g [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) {
  dst[i] = src[i];  // !race
  threadgroup_barrier(mem_flags::mem_device);
  if (t == 0) dst[i] = dst[(i + 64) % 128];  // !race !uninitialised-read
}
