#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i) {  // !attribute-missing
  p[i] = 1;
}
