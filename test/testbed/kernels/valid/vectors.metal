// run: {"kernel": "vectors", "grid": {"threads": 5}, "group": 4, "buffers": {"src": {"type": "float", "count": 20, "value": 2}, "dst": {"type": "float", "count": 20, "output": true}, "packed": {"type": "float", "count": 15, "value": 1}, "lut": {"type": "half", "values": [1, 2, 3, 4]}}}
#include <metal_stdlib>
using namespace metal;
template <short N>
struct Sum {
  static float of(thread const float4& v) { return v[N - 1] + Sum<N - 1>::of(v); }
};
template <>
struct Sum<0> {
  static float of(thread const float4&) { return 0; }
};
// Constructors, swizzles, conversions, packed vectors, matrices, address spaces of every kind.
struct Pair {
  float2 lo, hi;
  float sum() const thread { return lo.x + lo.y + hi.x + hi.y; }
};
inline void scale(thread float4& v, float s) { v *= s; }
inline float first(device const float4* p) { return p->x; }
inline float first(thread const float4* p) { return p->x; }
kernel void vectors(device const float4* src [[buffer(0)]], device float4* dst [[buffer(1)]],
                    device const packed_float3* packed [[buffer(2)]], constant half4& lut [[buffer(3)]],
                    uint i [[thread_position_in_grid]]) {
  float4 v = src[i];
  v.xy = v.yx + float2(1, 2);
  v.zw += v.xy;
  v = float4(v.wzy, 1.0) * 0.5 + float4(lut) - float4(1);
  scale(v, 2);
  const float3 p = packed[i];
  const Pair pair = {v.xy, v.zw};
  const int4 n = int4(v) << 1;
  const bool4 big = v > 1.0f;
  const float4x4 m = float4x4(1.0f);
  half2 h = half2(as_type<half2>(0x3c003c00u));
  device const float4* q = src + i;
  v[1] = any(big) ? first(q) : first(&v);
  v = select(v, m * v, big) + float4(n) + float4(p, pair.sum()) + float4(h.xxyy);
  v.x = max3(v.x, fma(v.y, 2.0f, v.z), clamp(v.w, 0.0f, 1.0f)) + float(popcount(i)) + exp(-abs(v.x));
  v.y += Sum<(true ? 4 : 2)>::of(v) * 0;
  dst[i] = fast::max(v, precise::rsqrt(float4(4)));
}
