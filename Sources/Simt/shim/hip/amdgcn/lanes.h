// Values that go from lane to lane: "Vega 7nm Instruction Set Architecture" and "RDNA3 Instruction Set Architecture"
// (V_READLANE_B32, V_READFIRSTLANE_B32, V_MBCNT_*, DS_SWIZZLE_B32, DS_PERMUTE_B32, DS_BPERMUTE_B32).
#pragma once

namespace hip {
/// The value of a lane, or 0 where it takes no part: what the LDS crossbar returns for disabled lanes.
HIP_INLINE int crossbar(const lanes<int>& all, uint lane) {
  return all.mask >> lane & 1 ? *(const int*)(all.base + 64 * lane) : 0;
}
}  // namespace hip

/// The first active lane's value.
HIP_INLINE int __builtin_amdgcn_readfirstlane(int x) {
  const hip::lanes<int> all(x);
  return all.need((uint)__builtin_ctzl(all.mask));
}
/// Any lane's register, disabled or not: what it holds is not defined by the language, so that is a finding.
HIP_INLINE int __builtin_amdgcn_readlane(int x, int lane) {
  const hip::lanes<int> all(x);
  return all.need((uint)lane % HIP_WAVE);
}
#if HIP_WAVE == 64
HIP_INLINE unsigned long __builtin_amdgcn_ballot_w64(bool p) {
  return __ballot(p);
}
#else
HIP_INLINE uint __builtin_amdgcn_ballot_w32(bool p) {
  return (uint)__ballot(p);
}
#endif
/// Bits of `mask` below this lane, among lanes 0 to 31 and 32 to 63.
HIP_INLINE uint __builtin_amdgcn_mbcnt_lo(uint mask, uint x) {
  const uint lane = simt_lane();
  return x + (uint)__builtin_popcount(lane >= 32 ? mask : mask & ((1u << lane) - 1));
}
HIP_INLINE uint __builtin_amdgcn_mbcnt_hi(uint mask, uint x) {
  const uint lane = simt_lane();
  return x + (uint)(lane < 32 ? 0 : __builtin_popcount(mask & ((1u << (lane - 32)) - 1)));
}

/// DS_SWIZZLE_B32: bit 15 of the offset set, a permutation of each quad; else, within 32 lanes, lane
/// ((i & and) | or) ^ xor. The rotating and FFT modes are not emulated.
HIP_INLINE int __builtin_amdgcn_ds_swizzle(int x, int offset) {
  const hip::lanes<int> all(x);
  const uint me = simt_lane(), o = (uint)offset;
  if (o & 0x8000u) {
    if (o >= 0xC000u) {
      simt_report("unknown-instruction", "ds_swizzle in its rotating or FFT mode is not emulated");
      return x;
    }
    return hip::crossbar(all, (me & ~3u) | (o >> 2 * (me & 3u) & 3u));
  }
  return hip::crossbar(all, (me & ~31u) | ((((me & 31u) & (o & 31u)) | (o >> 5 & 31u)) ^ (o >> 10 & 31u)));
}
namespace hip {
/// RDNA moves data within 32 lanes only, also in a wave of 64 ("RDNA3", DS_BPERMUTE_B32).
HIP_INLINE uint permute_target(uint me, int address) {
  const uint lane = (uint)address / 4;
#if HIP_GFX >= 10
  return (me & ~31u) | (lane % 32);
#else
  return (void)me, lane % HIP_WAVE;
#endif
}
}  // namespace hip
/// Pull: the value of lane address / 4.
HIP_INLINE int __builtin_amdgcn_ds_bpermute(int address, int x) {
  const hip::lanes<int> all(x);
  return hip::crossbar(all, hip::permute_target(simt_lane(), address));
}
/// Push: to lane address / 4; of several senders the one with the highest lane wins, without a sender it is 0.
HIP_INLINE int __builtin_amdgcn_ds_permute(int address, int x) {
  struct message {
    int address, value;
  };
  const hip::lanes<message> all(message{address, x});
  const uint me = simt_lane();
  int result = 0;
  for (uint i = 0; i < HIP_WAVE; i++) {
    const message& m = *(const message*)(all.base + 64 * i);
    if ((all.mask >> i & 1) && hip::permute_target(i, m.address) == me) result = m.value;
  }
  return result;
}
