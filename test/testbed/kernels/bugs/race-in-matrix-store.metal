// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], ushort t [[thread_index_in_threadgroup]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, src, 8);
  simdgroup_store(m, dst, 8);  // !race
}
