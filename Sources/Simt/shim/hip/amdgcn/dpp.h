// Data-parallel primitives: "Vega 7nm Instruction Set Architecture" and "RDNA3 Instruction Set Architecture", VOP_DPP /
// DPP16. A row is 16 lanes, a bank four. A source that is outside of its row or wave, or disabled, is not valid: the
// result is then 0 with bound_ctrl, else `old`; lanes that row_mask or bank_mask leave out keep `old`.
#pragma once

namespace hip {
constexpr int kNoLane = -1, kUnknownControl = -2;

/// The lane that `me` reads.
HIP_INLINE int dpp_source(int control, int me) {
  const int row = me & ~15, at = me & 15, n = control & 15;
  if (control <= 0xFF) return (me & ~3) | (control >> 2 * (me & 3) & 3);           // quad_perm
  if (control > 0x100 && control <= 0x10F) return at + n < 16 ? me + n : kNoLane;  // row_shl
  if (control > 0x110 && control <= 0x11F) return at >= n ? me - n : kNoLane;      // row_shr
  if (control > 0x120 && control <= 0x12F) return row | ((at - n) & 15);           // row_ror
  if (control == 0x140) return row | (15 - at);                                    // row_mirror
  if (control == 0x141) return (me & ~7) | (7 - (me & 7));                         // row_half_mirror
#if HIP_GFX == 9
  if (control == 0x130) return me + 1 < HIP_WAVE ? me + 1 : kNoLane;  // wave_shl:1
  if (control == 0x134) return (me + 1) % HIP_WAVE;                   // wave_rol:1
  if (control == 0x138) return me > 0 ? me - 1 : kNoLane;             // wave_shr:1
  if (control == 0x13C) return (me + HIP_WAVE - 1) % HIP_WAVE;        // wave_ror:1
  if (control == 0x142) return row > 0 ? row - 1 : kNoLane;           // row_bcast:15, to the next row
  if (control == 0x143) return me >= 32 ? 31 : kNoLane;               // row_bcast:31, to rows 2 and 3
#if defined(__gfx90a__) || defined(__gfx942__)
  if (control >= 0x150 && control <= 0x15F) return row | n;  // row_newbcast
#endif
#else
  if (control >= 0x150 && control <= 0x15F) return row | n;         // row_share
  if (control >= 0x160 && control <= 0x16F) return row | (at ^ n);  // row_xmask
#endif
  return kUnknownControl;
}
}  // namespace hip

template <class T>
HIP_INLINE T __builtin_amdgcn_update_dpp(T old, T x, int control, int row_mask, int bank_mask, bool bound_ctrl) {
  static_assert(sizeof(T) == 4, "update_dpp moves 32 bits");
  const hip::lanes<T> all(x);
  const int me = (int)simt_lane();
  const int from = hip::dpp_source(control, me);
  if (from == hip::kUnknownControl) {
    simt_report("unknown-instruction", "the emulated GPU has no such dpp_ctrl");
    return old;
  }
  if (!(row_mask >> me / 16 & 1) || !(bank_mask >> me % 16 / 4 & 1)) return old;
  if (from == hip::kNoLane || !(all.mask >> from & 1)) return bound_ctrl ? T(0) : old;
  return *(const T*)(all.base + 64 * (ulong)from);
}
