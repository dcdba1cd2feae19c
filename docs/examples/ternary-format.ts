// A quantized format that tilewright does not know, added from outside: ternary weights in 2 bits, one f32 scale per
// block of 64. Registering the format makes tensors of it possible; registering the kernel makes `matmul` multiply them.
import { type CustomMatmulKernel, QuantFormat } from 'tilewright';

const BLOCK = 64;
const BLOCK_BYTES = 4 + BLOCK / 4;

/** Scale, then 64 two-bit codes: 0, 1, 2 stand for -scale, 0, +scale. */
function decode(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array((bytes.byteLength / BLOCK_BYTES) * BLOCK);
  for (let i = 0; i < values.length; i++) {
    const block = Math.floor(i / BLOCK) * BLOCK_BYTES;
    const at = i % BLOCK;
    const code = (bytes[block + 4 + (at >> 2)]! >> (2 * (at & 3))) & 3;
    values[i] = (code - 1) * view.getFloat32(block, true);
  }
  return values;
}

/** The scale is the mean magnitude; weights below half of it become zero. */
function encode(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < values.length / BLOCK; block++) {
    const weights = values.subarray(block * BLOCK, (block + 1) * BLOCK);
    const scale = weights.reduce((sum, value) => sum + Math.abs(value), 0) / BLOCK;
    view.setFloat32(block * BLOCK_BYTES, scale, true);
    weights.forEach((value, i) => {
      const code = Math.abs(value) < scale / 2 ? 1 : value > 0 ? 2 : 0;
      bytes[block * BLOCK_BYTES + 4 + (i >> 2)]! |= code << (2 * (i & 3));
    });
  }
  return bytes;
}

export function registerTernary(): () => void {
  return QuantFormat.register({ name: 'ternary64', blockSize: BLOCK, blockBytes: BLOCK_BYTES, decode, encode });
}

/** Sums of +a and -a, times the scale: a ternary product needs no multiplication per weight. */
export const ternaryMatmul: CustomMatmulKernel = {
  name: 'ternary_matmul',
  supports: ({ format }) => format?.name === 'ternary64' || 'it is for ternary64 weights',
  run({ m, n, k, a, b, out }) {
    const weights = b as Uint8Array;
    const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
    const rowBytes = (k / BLOCK) * BLOCK_BYTES;
    for (let row = 0; row < m; row++) {
      for (let col = 0; col < n; col++) {
        let sum = 0;
        for (let block = 0; block < k / BLOCK; block++) {
          const at = col * rowBytes + block * BLOCK_BYTES;
          let part = 0;
          for (let i = 0; i < BLOCK; i++) {
            const code = (weights[at + 4 + (i >> 2)]! >> (2 * (i & 3))) & 3;
            const value = a[row * k + block * BLOCK + i]!;
            if (code === 2) part += value;
            else if (code === 0) part -= value;
          }
          sum += part * view.getFloat32(at, true);
        }
        out[row * n + col] = sum;
      }
    }
  },
};
