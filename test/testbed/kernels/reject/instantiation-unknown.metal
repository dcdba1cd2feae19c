#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = 1;
}
template [[host_name("j")]] kernel void j<float>(device float*, uint);  // !instantiation-unknown
