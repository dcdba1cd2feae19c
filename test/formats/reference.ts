// The formats once more, in plain TypeScript and straight from their definition: weight by weight, in float64.

import { f16ToF32 } from '../../ts/tensor/half.ts';
import { type BuiltinQuantFormat, getQuantFormat } from '../../ts/tensor/quant-format.ts';

/** A weight is scale * code - min, exactly; `codes` are all that the block's group could have chosen from. */
export interface Weight {
  readonly scale: number;
  readonly min: number;
  readonly code: number;
  readonly codes: readonly number[];
}

const range = (low: number, high: number) => Array.from({ length: high - low + 1 }, (_, i) => low + i);
const BOOKS = {
  two: range(0, 3),
  four: range(0, 15),
  five: range(0, 31),
  signed3: range(-4, 3),
  signed4: range(-8, 7),
  signed5: range(-16, 15),
  signed6: range(-32, 31),
  signed8: range(-128, 127),
  iq4: [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113],
  e2m1: [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12],
};

/** Weight `i` of the block at byte `at`. */
function weightAt(format: BuiltinQuantFormat, view: DataView, at: number, i: number): Weight {
  const byte = (offset: number) => view.getUint8(at + offset);
  const half = (offset: number) => f16ToF32(view.getUint16(at + offset, true));
  const bit = (offset: number, index: number) => (byte(offset + (index >> 3)) >> (index & 7)) & 1;
  // Blocks of 32: the low nibbles of 16 bytes, then the high ones.
  const nibble = (offset: number) => (byte(offset + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
  // Super-blocks: runs of 32 bytes hold 64 weights in nibbles, or 128 in pairs of bits.
  const nibble64 = (offset: number) => (byte(offset + 32 * (i >> 6) + (i % 32)) >> (i & 32 ? 4 : 0)) & 15;
  const pair = (offset: number) => (byte(offset + 32 * (i >> 7) + (i % 32)) >> (2 * ((i >> 5) & 3))) & 3;
  const plane = (offset: number) => (byte(offset + (i % 32)) >> (i >> 5)) & 1;
  const six = (j: number) => {
    // Scale j, or min j - 8, of Q4_K and Q5_K.
    const [g, shift] = j < 8 ? [j, 0] : [j - 8, 4];
    if (g < 4) return byte(4 + g + shift) & 63;
    return ((byte(4 + g + 4) >> shift) & 15) | ((byte(4 + g - 4 + shift) >> 6) << 4);
  };
  const weight = (scale: number, code: number, codes: readonly number[], min = 0): Weight => ({
    scale,
    min,
    code,
    codes,
  });
  const group = i >> 5;
  switch (format) {
    case 'q4_0':
      return weight(half(0), nibble(2) - 8, BOOKS.signed4);
    case 'q4_1':
      return weight(half(0), nibble(4), BOOKS.four, -half(2));
    case 'q5_0':
      return weight(half(0), (nibble(6) | (bit(2, i) << 4)) - 16, BOOKS.signed5);
    case 'q5_1':
      return weight(half(0), nibble(8) | (bit(4, i) << 4), BOOKS.five, -half(2));
    case 'q8_0':
      return weight(half(0), view.getInt8(at + 2 + i), BOOKS.signed8);
    case 'q2_k': {
      const scales = byte(i >> 4);
      return weight(half(80) * (scales & 15), pair(16), BOOKS.two, half(82) * (scales >> 4));
    }
    case 'q3_k': {
      const j = i >> 4;
      const low = (byte(96 + (j % 8)) >> (j < 8 ? 0 : 4)) & 15;
      const high = (byte(104 + (j % 4)) >> (2 * (j >> 2))) & 3;
      return weight(half(108) * ((low | (high << 4)) - 32), pair(32) - (plane(0) ? 0 : 4), BOOKS.signed3);
    }
    case 'q4_k':
      return weight(half(0) * six(group), nibble64(16), BOOKS.four, half(2) * six(group + 8));
    case 'q5_k':
      return weight(half(0) * six(group), nibble64(48) | (plane(16) << 4), BOOKS.five, half(2) * six(group + 8));
    case 'q6_k': {
      const low = (byte(64 * (i >> 7) + (i % 64)) >> (i & 64 ? 4 : 0)) & 15;
      return weight(half(208) * view.getInt8(at + 192 + (i >> 4)), (low | (pair(128) << 4)) - 32, BOOKS.signed6);
    }
    case 'q8_k':
      return weight(view.getFloat32(at, true), view.getInt8(at + 4 + i), BOOKS.signed8);
    case 'iq4_nl':
      return weight(half(0), BOOKS.iq4[nibble(2)]!, BOOKS.iq4);
    case 'iq4_xs': {
      const low = (byte(4 + (group >> 1)) >> (group & 1 ? 4 : 0)) & 15;
      const high = (view.getUint16(at + 2, true) >> (2 * group)) & 3;
      const index = (byte(8 + 16 * group + (i % 16)) >> (i & 16 ? 4 : 0)) & 15;
      return weight(half(0) * ((low | (high << 4)) - 32), BOOKS.iq4[index]!, BOOKS.iq4);
    }
    case 'mxfp4':
      return weight(2 ** (byte(0) - 128), BOOKS.e2m1[nibble(1)]!, BOOKS.e2m1);
  }
}

export function weights(format: BuiltinQuantFormat, bytes: Uint8Array): Weight[] {
  const { blockBytes, blockSize } = getQuantFormat(format);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: (bytes.byteLength / blockBytes) * blockSize }, (_, i) =>
    weightAt(format, view, Math.floor(i / blockSize) * blockBytes, i % blockSize),
  );
}
