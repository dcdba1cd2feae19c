#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint3 i [[thread_index_in_simdgroup]]) {  // !argument-type
  p[i.x] = 1;
}
