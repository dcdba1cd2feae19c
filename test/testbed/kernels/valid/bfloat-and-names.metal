// run: {"kernel": "bfloat_and_names", "grid": {"threads": 32}, "group": 32, "buffers": {"global": {"type": "bfloat", "count": 32, "value": 1.5}, "dst": {"type": "float", "count": 32, "output": true, "expect": {"values": [4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5, 4.5]}}}}
#include <metal_stdlib>
using namespace metal;
// OpenCL's keywords are ordinary names in Metal; bfloat converts to float on its own.
#define STEP(x) ((x) + 1)
namespace detail {
constexpr constant float table[2] = {1, 2};
template <typename T, short N, float (*f)(device const T*, short)>
float twice(device const T* p) {
  return f(p, N) * 2;
}
inline float load(device const bfloat* p, short i) { return p[i]; }
}  // namespace detail
kernel void bfloat_and_names(device const bfloat* global [[buffer(0)]], device float* dst [[buffer(1)]],
                             uint local [[thread_position_in_grid]]) {
  const short pipe = 0;
  float generic = detail::twice<bfloat, 0, detail::load>(global + local);
  #pragma unroll
  for (int private_ = 0; private_ < 1; private_++) generic += .5e0 + 1.0h * half(detail::table[pipe]);
  threadgroup float scratch[sizeof(generic) == 4 ? 32 : 1];
  threadgroup float* pointer = pipe == 0 ? scratch : nullptr;
  pointer[local] = generic;
  generic = scratch[local];
  dst[local] = STEP(generic) - 1;
}
