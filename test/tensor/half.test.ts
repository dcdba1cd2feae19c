import { expect, it } from 'vitest';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';

it('converts every f16 to f32 and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = f16ToF32(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(f16ToF32(f32ToF16(value)))).toBe(true);
    else if (f32ToF16(value) !== bits) expect.fail(`${bits} -> ${value} -> ${f32ToF16(value)}`);
  }
});

it('converts every bf16 to f32 and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = bf16ToF32(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(bf16ToF32(f32ToBf16(value)))).toBe(true);
    else if (f32ToBf16(value) !== bits) expect.fail(`${bits} -> ${value} -> ${f32ToBf16(value)}`);
  }
});

it('rounds halfway cases to even', () => {
  expect(f32ToF16(1 + 2 ** -11)).toBe(0x3c00);
  expect(f32ToF16(1 + 3 * 2 ** -11)).toBe(0x3c02);
  expect(f32ToF16(2 ** -25)).toBe(0);
  expect(f32ToF16(3 * 2 ** -25)).toBe(2);
  expect(f32ToF16(65519.996)).toBe(0x7bff);
  expect(f32ToF16(65520)).toBe(0x7c00);
  expect(f32ToBf16(1 + 2 ** -8)).toBe(0x3f80);
  expect(f32ToBf16(1 + 3 * 2 ** -8)).toBe(0x3f82);
});
