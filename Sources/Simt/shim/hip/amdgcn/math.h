// Transcendental instructions: "RDNA3 Instruction Set Architecture", VOP1 (V_EXP_F32, V_LOG_F32, V_RCP_F32, V_RSQ_F32,
// V_SQRT_F32, V_SIN_F32, V_COS_F32): base 2, 1 ulp, denormals in and out are zero. Here they are rounded correctly
// apart from the flush, so an error bound has to allow for the hardware's own ulp.
#pragma once

namespace hip {
HIP_INLINE float flush(float x) {
  return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0.0f, x) : x;
}
}  // namespace hip
HIP_INLINE float __builtin_amdgcn_exp2f(float x) {
  return hip::flush(::exp2f(x));
}
HIP_INLINE float __builtin_amdgcn_logf(float x) {
  return ::log2f(hip::flush(x));
}
HIP_INLINE float __builtin_amdgcn_rcpf(float x) {
  return hip::flush(1.0f / hip::flush(x));
}
HIP_INLINE float __builtin_amdgcn_rsqf(float x) {
  return 1.0f / __builtin_sqrtf(hip::flush(x));
}
HIP_INLINE float __builtin_amdgcn_sqrtf(float x) {
  return __builtin_sqrtf(hip::flush(x));
}
/// The argument counts whole turns.
HIP_INLINE float __builtin_amdgcn_sinf(float turns) {
  return (float)__builtin_sin((double)turns * 6.283185307179586);
}
HIP_INLINE float __builtin_amdgcn_cosf(float turns) {
  return (float)__builtin_cos((double)turns * 6.283185307179586);
}
HIP_INLINE float __builtin_amdgcn_fractf(float x) {
  const float f = x - __builtin_floorf(x);
  return f < 1.0f ? f : 0x1.fffffep-1f;
}
HIP_INLINE float __builtin_amdgcn_fmed3f(float a, float b, float c) {
  return __builtin_fmaxf(__builtin_fminf(a, b), __builtin_fminf(__builtin_fmaxf(a, b), c));
}
HIP_INLINE float __builtin_amdgcn_ldexpf(float x, int e) {
  return __builtin_ldexpf(x, e);
}
