// run: {"kernel": "optional", "grid": {"threads": 64}, "group": 32, "constants": {"has_bias": true}, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "bias": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true}}}
// run: {"kernel": "optional", "name": "optional without", "grid": {"threads": 64}, "group": 32, "constants": {"has_bias": false}, "buffers": {"src": {"type": "float", "count": 64, "random": {"seed": 1}}, "dst": {"type": "float", "count": 64, "output": true}}}
#include <metal_stdlib>
using namespace metal;
constant bool has_bias [[function_constant(7)]];
kernel void optional(device const float* src [[buffer(0)]], device const float* bias [[buffer(1), function_constant(has_bias)]],
                     device float* dst [[buffer(2)]], uint i [[thread_position_in_grid]]) {
  float x = src[i];
  if (has_bias) x += bias[i];
  dst[i] = x;
}
