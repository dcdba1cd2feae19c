#include <metal_stdlib>
using namespace metal;
template <typename T>
kernel void k(device T* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = p[i].x;  // !type
}
template [[host_name("k")]] kernel void k<float>(device float*, uint);
