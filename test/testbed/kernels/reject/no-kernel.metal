#include <metal_stdlib>  // !no-kernel
using namespace metal;
inline float f(float x) { return x; }
