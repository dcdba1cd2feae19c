import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dequantize, TilewrightError } from '../../ts/index.ts';
import { getQuantFormat } from '../../ts/tensor/quant-format.ts';
import { weights } from './reference.ts';
import { blocks, FORMATS, HALVES } from './streams.ts';

interface Golden {
  readonly blocks: number;
  readonly decode: Readonly<Record<string, { readonly random: string; readonly special: string }>>;
}
const golden = JSON.parse(readFileSync(new URL('ggml.golden.json', import.meta.url), 'utf8')) as Golden;

/** SHA-256 of the floats; every NaN counts as the same, because which one an operation gives is the processor's choice. */
function digest(floats: Float32Array): string {
  const bits = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const canonical = bits.map((word) => ((word & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : word));
  return createHash('sha256').update(new Uint8Array(canonical.buffer)).digest('hex');
}

/** Blocks of any bytes whose scales are finite. */
const anyBlocks = (format: (typeof FORMATS)[number]) => {
  const { blockBytes } = getQuantFormat(format);
  return fc.integer({ min: 0, max: 3 }).chain((count) =>
    fc.uint8Array({ minLength: count * blockBytes, maxLength: count * blockBytes }).map((bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < bytes.length; at += blockBytes) {
        for (const offset of HALVES[format]) {
          const bits = view.getUint16(at + offset, true);
          if ((bits & 0x7c00) === 0x7c00) view.setUint16(at + offset, bits & 0xbfff, true);
        }
        if (format === 'q8_k' && !Number.isFinite(view.getFloat32(at, true))) view.setFloat32(at, 1.5, true);
      }
      return bytes;
    }),
  );
};

describe.each(FORMATS)('dequantize of %s', (format) => {
  it('gives the floats of ggml, bit for bit', () => {
    expect(digest(dequantize(format, blocks(format, golden.blocks, false)))).toBe(golden.decode[format]!.random);
  });

  it('gives the floats of ggml for zero, subnormal, infinite and NaN scales', () => {
    expect(digest(dequantize(format, blocks(format, golden.blocks, true)))).toBe(golden.decode[format]!.special);
  });

  it('is the definition, rounded: scale, product and difference', () => {
    fc.assert(
      fc.property(anyBlocks(format), (bytes) => {
        const expected = weights(format, bytes).map(({ scale, min, code }) =>
          Math.fround(Math.fround(Math.fround(scale) * code) - Math.fround(min)),
        );
        expect(dequantize(format, bytes)).toEqual(Float32Array.from(expected));
      }),
    );
  });

  it('reads blocks at any address', () => {
    const aligned = blocks(format, 3, false);
    const shifted = new Uint8Array(aligned.length + 1).subarray(1);
    shifted.set(aligned);
    expect(dequantize(format, shifted)).toEqual(dequantize(format, aligned));
  });

  it('gives no floats for no bytes, and refuses a part of a block', () => {
    expect(dequantize(format, new Uint8Array(0))).toEqual(new Float32Array(0));
    const { blockBytes } = getQuantFormat(format);
    for (const length of [1, blockBytes - 1, blockBytes + 1]) {
      expect(() => dequantize(format, new Uint8Array(length))).toThrow(
        expect.objectContaining({ name: TilewrightError.name, code: 'ERR_SHAPE_MISMATCH' }),
      );
    }
  });
});
