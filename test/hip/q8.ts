// The 8-bit activations of hip/common/q8.h once more, in plain TypeScript.
import { Q8_BLOCK, Q8_BLOCK_BYTES, q8Bytes } from '../../ts/kernels/hip/matmul.ts';

const f32 = Math.fround;
const bits = new DataView(new ArrayBuffer(4));

/** The step of a group whose largest activation is `largest`: the next bfloat16 above largest / 127. */
export function stepOf(largest: number): number {
  bits.setFloat32(0, f32(f32(largest) * f32(1 / 127)));
  const up = (bits.getUint32(0) + 0xffff) & 0xffff0000;
  bits.setUint32(0, up);
  return up < 0x00800000 ? 0 : bits.getFloat32(0);
}
const even = (x: number): number => {
  const down = Math.floor(x);
  const rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 !== 0) ? down + 1 : down;
};

/** Places of run 0..15 of a block: among the codes, and among the records. */
export function place(run: number, step: number): readonly [number, number] {
  const apart = Math.floor(step / 16);
  if (apart === 0) return [run, run];
  const inOrder = Math.floor(run / (2 * apart)) * apart + (run % apart);
  const part = step === 33 ? [0, 1, 4, 5, 2, 3, 6, 7][inOrder]! : inOrder;
  const second = Math.floor(run / apart) % 2;
  return [8 * second + part, 2 * part + second];
}

/** `rows` rows of k activations in groups of `group`; also what they are after rounding. */
export function encodeQ8(values: Float32Array, rows: number, k: number, group: number, step: number) {
  const bytes = new Uint8Array(q8Bytes(rows, k, group));
  const view = new DataView(bytes.buffer);
  const rounded = new Float32Array(rows * k);
  const blocks = Math.ceil(k / Q8_BLOCK);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const at = ((Math.floor(row / group) * blocks + block) * group + (row % group)) * Q8_BLOCK_BYTES;
      for (let run = 0; run < 16; run++) {
        const from = block * Q8_BLOCK + 16 * run;
        const first = from - (from % 32);
        let largest = 0;
        for (let i = first; i < Math.min(first + 32, k); i++)
          largest = Math.max(largest, Math.abs(values[row * k + i]!));
        const scale = stepOf(largest);
        const inverse = scale === 0 ? 0 : f32(1 / scale);
        const [codes, record] = place(run, step);
        let sum = 0;
        for (let i = 0; i < 16 && from + i < k; i++) {
          const x = f32(values[row * k + from + i]! * inverse);
          const code = even(Math.max(-127, Math.min(127, x)));
          view.setInt8(at + 64 + 16 * codes + i, code);
          rounded[row * k + from + i] = scale * code;
          sum += code;
        }
        bits.setFloat32(0, scale);
        view.setUint32(at + 4 * record, ((bits.getUint32(0) & 0xffff0000) | (sum & 0xffff)) >>> 0, true);
      }
    }
  }
  return { bytes, rounded };
}
