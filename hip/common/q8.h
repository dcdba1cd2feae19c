// Activations rounded to 8 bits, as hip/quantize.hip writes them and the integer kernels read them.
//
// Rows are cut into blocks of 256 activations of 320 bytes: 16 records of 4 bytes, one per run of 16 activations, then
// the 256 codes. A record holds the step of its group of 32 in its high half, as a bfloat16 (no range is lost, and
// codes are rounded with the very step that is stored), and the sum of its 16 codes in its low half.
//
// The order of the runs is the one in which the lanes of a kernel read them: for parts whose two runs are `step` apart
// (formats/format.h), codes of the first runs of all eight parts come first, then those of the second runs, and the two
// records of a part are neighbours. Loads of neighbouring lanes are side by side, for every format. Step 0 is the order
// of the activations themselves; 33 is that of steps of 32 where parts 64 apart are numbered p and p + 4, as their
// weights are in the same bytes (formats/k2.h).
//
// `group` rows are interleaved block by block, so that a kernel which multiplies that many reaches them all from one
// address. What is missing at the end of the rows, and of the last group, is zeros.
#pragma once
#include "memory.h"

namespace tw {

enum : u32 { q8_block = 256, q8_bytes = 320, q8_group = 32, q8_run = 16, q8_codes = 64 };

TW_DEVICE u32 q8_blocks(u32 k) {
  return (k + q8_block - 1) / q8_block;
}
/// Byte offset of a row's first block.
TW_DEVICE u64 q8_row_at(u32 row, u32 k, u32 group) {
  return (u64(row / group) * q8_blocks(k) * group + row % group) * q8_bytes;
}

/// Places of run 0..15 of a block in its codes and among its records.
struct Q8Place {
  u32 codes, record;
  TW_MEMBER Q8Place(u32 run, u32 step) : codes(run), record(run) {
    const u32 apart = step / q8_run;
    if (apart == 0) return;
    u32 part = run / (2 * apart) * apart + run % apart;
    if (step % 2 != 0) part = part / 4 * 2 + part / 2 % 2 * 4 + part % 2;
    const u32 second = run / apart % 2;
    codes = 8 * second + part;
    record = 2 * part + second;
  }
};

TW_DEVICE float q8_step(u32 record) {
  return bits_as<float>(record & 0xffff0000u);
}
TW_DEVICE i32 q8_sum(u32 record) {
  return i16(record);
}

}  // namespace tw
