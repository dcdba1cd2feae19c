// Activations rounded to 8 bits, as hip/quantize.hip writes them and the integer kernels read them: rows of blocks of
// 64, 80 bytes each. A block is four records of 4 bytes, one per run of 16 activations, and then the 64 codes. A record
// holds the step of its group of 32 as a bfloat16 in its high half (a power-of-two mantissa of 8 bits: no range is
// lost, and the code is rounded with the very step that is stored) and the sum of its 16 codes in its low half. The
// order of the records is 0, 2, 1, 3: runs that are 32 apart, the pairs of K-quants, are one load of 8 bytes.
#pragma once
#include "memory.h"

namespace tw {

enum : u32 { q8_block = 64, q8_bytes = 80, q8_group = 32, q8_run = 16, q8_codes = 16 };

/// Bytes of a row of k activations; the last block is filled with zeros.
TW_DEVICE u32 q8_row_bytes(u32 k) {
  return (k + q8_block - 1) / q8_block * q8_bytes;
}
/// Byte offsets of the record and of the codes of the run that begins at activation `at`, a multiple of 16.
TW_DEVICE u32 q8_record_at(u32 at) {
  const u32 run = at / q8_run % 4;
  return at / q8_block * q8_bytes + (run % 2 * 8 + run / 2 * 4);
}
TW_DEVICE u32 q8_codes_at(u32 at) {
  return at / q8_block * q8_bytes + q8_codes + at % q8_block;
}

TW_DEVICE float q8_step(u32 record) {
  return bits_as<float>(record & 0xffff0000u);
}
TW_DEVICE float q8_sum(u32 record) {
  return float(i16(record));
}

}  // namespace tw
