#include <metal_stdlib>
using namespace metal;
template <typename T>
kernel void k(device T* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = T(1);
}
template [[host_name("k")]] kernel void k<float>(device float*, uint);
template [[host_name("k")]] kernel void k<half>(device half*, uint);  // !host-name-duplicate
