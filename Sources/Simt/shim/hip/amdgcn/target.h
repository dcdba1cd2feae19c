// Which instructions the emulated GPU has. The rewriter defines HIP_GFX (major version) and the target's own macro; a
// builtin that the target lacks is not declared, as in the real compiler.
#pragma once

#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__) || HIP_GFX == 10
#define HIP_HAS_SDOT4 1
#endif
#if HIP_GFX >= 11
#define HIP_HAS_SUDOT4 1
#endif
#if defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__)
#define HIP_HAS_MFMA 1
#endif
#if defined(__gfx90a__) || defined(__gfx942__)
#define HIP_HAS_MFMA_BF16_1K 1
#endif
#if defined(__gfx908__) || defined(__gfx90a__)
#define HIP_HAS_MFMA_I8_SHORT 1  // 16 values of K; gfx942 has 32 instead
#endif
