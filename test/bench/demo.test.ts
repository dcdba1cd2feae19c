import { describe, expect, it } from 'vitest';
import { deviation } from '../../bench/demo/reference.ts';
import { normals } from '../../bench/stats/random.ts';
import { MatmulDispatcher, quantize } from '../../ts/index.ts';
import { testDevice } from '../support/device.ts';
import { runNode } from './spawn.ts';

describe('the demonstration', () => {
  it('shows every format, explains, and finds nothing wrong', async () => {
    const { code, stdout, stderr } = await runNode(['bench/demo/main.ts']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toMatch(/WRONG|NaN|Infinity|undefined/);
    expect(stdout).not.toContain('\u001b');
    const formats = 'f16 q4_k q5_k q8_0 q5_0 q4_0 q4_1 q6_k iq4_nl f32 bf16 q5_1 iq4_xs mxfp4 q3_k q2_k'.split(' ');
    for (const format of formats)
      expect(stdout.match(new RegExp(`^\\S+ +${format} `, 'gm'))?.length).toBeGreaterThan(1);
    expect(stdout).toMatch(/^ {2}→ QuantGemm \(quant_gemm\)/m);
    expect(stdout).toContain('All results are within their bounds.');
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });
});

describe('its reference', async () => {
  const device = await testDevice();
  const [m, n, k] = [3, 40, 256];
  const a = normals(1, m * k);
  const weights = device.quantized(quantize('q4_k', normals(2, n * k)), { format: 'q4_k', shape: [n, k] });
  const dispatcher = new MatmulDispatcher(device);
  const activations = device.tensor(a, { shape: [m, k] });

  it.each(['fast', 'exact'] as const)('accepts a right result (%s) and refuses a wrong one', async (precision) => {
    using out = await dispatcher.matmul({ a: activations, b: weights, precision });
    const result = await out.read();
    const right = await deviation(a, weights, result, precision);
    expect(right.ofBound).toBeLessThan(1);
    expect(right.relative).toBeLessThan(precision === 'fast' ? 0.05 : 1e-5);
    for (const wrong of [Number.NaN, result[0]! + 10, -result[0]! + 10]) {
      const broken = result.slice();
      broken[0] = wrong;
      expect((await deviation(a, weights, broken, precision)).ofBound).toBeGreaterThan(1);
    }
  });

  it('tells rounded activations from exact ones', async () => {
    using out = await dispatcher.matmul({ a: activations, b: weights, precision: 'fast' });
    expect((await deviation(a, weights, await out.read(), 'exact')).ofBound).toBeGreaterThan(1);
  });
});
