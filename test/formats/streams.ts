// The deterministic inputs behind ggml.golden.json; README.md describes them. Only +, -, *, / and square roots, which
// every language rounds alike, so that another program can make the same floats.
import { type BuiltinQuantFormat, getQuantFormat } from '../../ts/tensor/quant-format.ts';
import { generator } from '../support/values.ts';

/** Where a block keeps its halves. The two other formats have a float (q8_k) or an exponent (mxfp4) in front. */
export const HALVES: Readonly<Record<BuiltinQuantFormat, readonly number[]>> = {
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q8_0: [0],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
  q8_k: [],
  iq4_nl: [0],
  iq4_xs: [0],
  mxfp4: [],
};

export const FORMATS = Object.keys(HALVES) as BuiltinQuantFormat[];

// Zeros, ends of the subnormals and of the normals, one, infinities and NaNs, each with both signs.
const SPECIAL_HALVES = [
  0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x83ff, 0x0400, 0x8400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00,
  0x7e00, 0xfe01,
];
const SPECIAL_FLOATS = [
  0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x7f7fffff,
  0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
];
const SPECIAL_EXPONENTS = [0, 1, 2, 127, 128, 253, 254, 255];

/** Random blocks. Scales are finite if `special` is false, else they run through the lists above. */
export function blocks(format: BuiltinQuantFormat, count: number, special: boolean): Uint8Array {
  const { blockBytes, ggufType = 0 } = getQuantFormat(format);
  const next = generator((special ? 1000 : 0) + ggufType);
  const bytes = Uint8Array.from({ length: count * blockBytes }, () => next() * 256);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < count; i++) {
    const at = i * blockBytes;
    HALVES[format].forEach((offset, which) => {
      const bits = view.getUint16(at + offset, true);
      const finite = (bits & 0x7c00) === 0x7c00 ? bits & 0xbfff : bits;
      const chosen = SPECIAL_HALVES[(which === 0 ? i : Math.floor(i / 16)) % 16]!;
      view.setUint16(at + offset, special ? chosen : finite, true);
    });
    if (format === 'q8_k') {
      const bits = view.getUint32(at, true);
      const finite = (bits & 0x7f800000) === 0x7f800000 ? bits & 0xbfffffff : bits;
      view.setUint32(at, special ? SPECIAL_FLOATS[i % 16]! : finite, true);
    }
    if (format === 'mxfp4' && special) bytes[at] = SPECIAL_EXPONENTS[i % 8]!;
  }
  return bytes;
}

/** Natural logarithm of 0 < x < 2^1023, normal: 2 artanh((m - 1) / (m + 1)) as a series. */
function ln(x: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const exponent = ((view.getUint16(0) >> 4) & 0x7ff) - 1022;
  const mantissa = x / 2 ** exponent;
  const s = (mantissa - 1) / (mantissa + 1);
  let sum = 0;
  for (let k = 41; k >= 1; k -= 2) sum = sum * (s * s) + 1 / k;
  return 2 * s * sum + exponent * Math.LN2;
}

type Draw = (next: () => number, i: number) => number;

const normal: Draw = (next) => {
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += next();
  return sum - 6;
};

const laplace: Draw = (next) => {
  const size = -ln((next() * 2 ** 32 + 1) / 2 ** 32);
  return next() < 0.5 ? -size : size;
};

const student: Draw = (next, i) => {
  const [z, a, b, c] = [normal(next, i), normal(next, i), normal(next, i), normal(next, i)];
  return z / Math.sqrt((a * a + b * b + c * c) / 3);
};

const sparse: Draw = (next, i) => {
  const [empty, value] = [next() < 0.9, normal(next, i)];
  return empty ? 0 : value;
};

/** In the order of their seeds. */
const DRAWS: Readonly<Record<string, Draw>> = {
  normal,
  uniform: (next) => 2 * next() - 1,
  laplace,
  student,
  outliers: (next, i) => normal(next, i) * (i % 97 === 0 ? 50 : 1),
  weights: (next, i) => normal(next, i) * 0.02,
  positive: (next) => 0.5 + 0.5 * next(),
  negative: (next) => -0.5 - 0.5 * next(),
  sparse,
  constant: () => 0.3337,
  constantNegative: () => -0.1771,
  ternary: (next) => (Math.floor(3 * next()) - 1) * 0.0421,
  tiny: (next, i) => normal(next, i) * 1e-6,
  zero: () => 0,
};

export const DISTRIBUTIONS = Object.keys(DRAWS);

export function values(distribution: string, count: number): Float32Array {
  const next = generator(5000 + DISTRIBUTIONS.indexOf(distribution));
  const draw = DRAWS[distribution]!;
  return Float32Array.from({ length: count }, (_, i) => draw(next, i));
}
