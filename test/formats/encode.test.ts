import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantize, quantize, TilewrightError } from '../../ts/index.ts';
import { type BuiltinQuantFormat, getQuantFormat } from '../../ts/tensor/quant-format.ts';
import { weights } from './reference.ts';
import { DISTRIBUTIONS, FORMATS, values } from './streams.ts';

interface Golden {
  readonly values: number;
  readonly rmse: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
const golden = JSON.parse(readFileSync(new URL('ggml.golden.json', import.meta.url), 'utf8')) as Golden;

const roundTrip = (format: BuiltinQuantFormat, floats: Float32Array) => dequantize(format, quantize(format, floats));

function rmse(a: Float32Array, b: Float32Array): number {
  const sum = a.reduce((total, value, i) => total + (value - b[i]!) ** 2, 0);
  return a.length === 0 ? 0 : Math.sqrt(sum / a.length);
}

/** One half (or two) to a block, so that encoding decoded weights finds the same again. */
const FOUND_AGAIN = new Set<BuiltinQuantFormat>(['q4_0', 'q4_1', 'q5_0', 'q5_1', 'q8_0', 'iq4_nl', 'mxfp4']);

/** The largest weight that a block can hold: the largest finite half (or exponent) times the codes and integers. */
const LARGEST: Readonly<Record<BuiltinQuantFormat, number>> = {
  q4_0: 65504 * 8,
  q4_1: 65504 * 16,
  q5_0: 65504 * 16,
  q5_1: 65504 * 32,
  q8_0: 65504 * 127,
  q2_k: 65504 * 15 * 3,
  q3_k: 65504 * 32 * 4,
  q4_k: 65504 * 63 * 15,
  q5_k: 65504 * 63 * 31,
  q6_k: 65504 * 128 * 32,
  q8_k: 2 ** 128,
  iq4_nl: 65504 * 127,
  iq4_xs: 65504 * 32 * 127,
  mxfp4: 12 * 2 ** 124,
};

/** Rows of weights: a magnitude, a shape, now and then zeros and outliers. */
const anyWeights = (format: BuiltinQuantFormat) => {
  const { blockSize } = getQuantFormat(format);
  const weight = fc.oneof(
    { weight: 8, arbitrary: fc.double({ min: -1, max: 1, noNaN: true }) },
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.double({ min: -30, max: 30, noNaN: true }) },
  );
  return fc
    .record({
      row: fc.array(weight, { minLength: blockSize, maxLength: blockSize, size: 'max' }),
      exponent: fc.integer({ min: -6, max: 8 }),
      shift: fc.oneof(fc.constant(0), fc.double({ min: -3, max: 3, noNaN: true })),
    })
    .map(({ row, exponent, shift }) => Float32Array.from(row, (w) => (w + shift) * 2 ** exponent));
};

describe.each(FORMATS)('quantize to %s', (format) => {
  const { blockSize, blockBytes } = getQuantFormat(format);

  it.each(DISTRIBUTIONS)("errs no more than ggml's reference quantizer on %s data", (distribution) => {
    const floats = values(distribution, golden.values);
    // The sums are of the same floats in the same order; the allowance is for the compiler that made the golden file.
    expect(rmse(roundTrip(format, floats), floats)).toBeLessThanOrEqual(
      golden.rmse[format]![distribution]! * (1 + 1e-12),
    );
  });

  it('gives every weight the nearest code of its group', () => {
    fc.assert(
      fc.property(anyWeights(format), (floats) => {
        const encoded = weights(format, quantize(format, floats));
        encoded.forEach(({ scale, min, code, codes }, i) => {
          const miss = (c: number) => Math.abs(scale * c - min - floats[i]!);
          // Codes are chosen in float: a weight that lies between two of them may take either.
          const doubt = 2 ** -20 * (Math.abs(floats[i]!) + Math.abs(min) + Math.abs(scale));
          const least = Math.min(...codes.map(miss));
          if (miss(code) > least + doubt) expect.fail(`weight ${i}: ${floats[i]} is ${scale} * ${code} - ${min}`);
        });
      }),
    );
  });

  it('stays within the largest step of codes that span the block', () => {
    const codes = [...weights(format, new Uint8Array(blockBytes))[0]!.codes].sort((a, b) => a - b);
    const step = Math.max(...codes.slice(1).map((code, i) => code - codes[i]!));
    const span = codes.at(-1)! - codes[0]!;
    fc.assert(
      fc.property(anyWeights(format), (floats) => {
        const [low, high] = [floats.reduce((a, b) => Math.min(a, b), 0), floats.reduce((a, b) => Math.max(a, b), 0)];
        // Codes of both signs span the range from -peak to peak. Halves are 2^-24 apart at the least.
        const width = codes[0]! < 0 ? 2 * Math.max(high, -low) : high - low;
        expect(rmse(roundTrip(format, floats), floats)).toBeLessThanOrEqual((step * width) / span + 2 ** -24);
      }),
    );
  });

  // A super-block's factors are not unique, and cannot be found from one group: what is encoded again may differ by a
  // part of what the first encoding lost. q8_k's float scale comes back to within its rounding.
  const again = FOUND_AGAIN.has(format) ? 0 : 0.2;
  it.each(['normal', 'uniform', 'laplace', 'student', 'weights'])('finds decoded %s weights again', (name) => {
    const floats = values(name, golden.values);
    const once = roundTrip(format, floats);
    expect(rmse(roundTrip(format, once), once)).toBeLessThanOrEqual(again * rmse(once, floats));
  });

  it('keeps zeros', () => {
    const zeros = new Float32Array(2 * blockSize).fill(-0, blockSize);
    expect(roundTrip(format, zeros).every((w) => w === 0)).toBe(true);
  });

  it('reads NaN as 0 and gives finite floats for any input', () => {
    const withNaN = values('weights', blockSize).map((w, i) => (i % 5 === 0 ? Number.NaN : w));
    const withZero = withNaN.map((w) => (Number.isNaN(w) ? 0 : w));
    expect(quantize(format, withNaN)).toEqual(quantize(format, withZero));
    const huge = values('uniform', 64 * blockSize).map((w) => w * 3.4e38);
    expect(roundTrip(format, huge).every(Number.isFinite)).toBe(true);
    fc.assert(
      fc.property(fc.uint32Array({ minLength: blockSize, maxLength: blockSize, size: 'max' }), (bits) => {
        const floats = new Float32Array(bits.buffer, bits.byteOffset, bits.length);
        expect(roundTrip(format, floats).every(Number.isFinite)).toBe(true);
      }),
    );
  });

  it('saturates infinities and values that no block can hold', () => {
    const peak = Float32Array.of(Number.POSITIVE_INFINITY, 3.4e38);
    for (const value of peak) {
      const decoded = roundTrip(format, new Float32Array(blockSize).fill(value));
      const goal = Math.min(LARGEST[format], 3.4028234663852886e38);
      for (const w of decoded) expect(Math.abs(w - goal)).toBeLessThanOrEqual(0.07 * goal);
    }
  });

  it('makes no bytes of no floats, and refuses a part of a block', () => {
    expect(quantize(format, new Float32Array(0))).toEqual(new Uint8Array(0));
    for (const length of [1, blockSize - 1, blockSize + 1]) {
      expect(() => quantize(format, new Float32Array(length))).toThrow(
        expect.objectContaining({ name: TilewrightError.name, code: 'ERR_SHAPE_MISMATCH' }),
      );
    }
  });

  it('encodes each block for itself', () => {
    const floats = values('student', 4 * blockSize);
    const whole = quantize(format, floats);
    for (let i = 0; i < 4; i++) {
      const block = quantize(format, floats.slice(i * blockSize, (i + 1) * blockSize));
      expect(block).toEqual(whole.slice(i * blockBytes, (i + 1) * blockBytes));
    }
  });
});

it('writes the sums of 16 codes into blocks of q8_k', () => {
  const view = new DataView(quantize('q8_k', values('normal', 256)).buffer);
  for (let group = 0; group < 16; group++) {
    let sum = 0;
    for (let i = 0; i < 16; i++) sum += view.getInt8(4 + 16 * group + i);
    expect(view.getInt16(260 + 2 * group, true)).toBe(sum);
  }
});
