// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 32, "constants": {"has_bias": false}, "buffers": {"dst": {"type": "float", "count": 32, "output": true}}}
#include <metal_stdlib>
using namespace metal;
constant bool has_bias [[function_constant(0)]];
kernel void k(device float* dst [[buffer(0)]], device const float* bias [[buffer(1), function_constant(has_bias)]],
              uint i [[thread_position_in_grid]]) {
  const float b = bias[i];  // !out-of-bounds
  dst[i] = has_bias ? b : 0;
}
