import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { METAL_KERNELS } from '../../ts/kernels/metal/catalogue.ts';
import { checkKernels, formatFinding } from '../../ts/testbed/check.ts';
import { hasClang, OPTIONS, shader } from './support.ts';

const sources = readdirSync(shader('')).filter((name) => name.endsWith('.metal'));

describe.skipIf(!hasClang)('shaders', () => {
  it.concurrent.each(sources)('%s has no finding, and a declaration', async (source) => {
    const { findings, signature } = await checkKernels(shader(source), OPTIONS);
    expect(findings.map(formatFinding)).toEqual([]);
    expect(signature!.kernels.length).toBeGreaterThan(0);
    expect(METAL_KERNELS.some((kernel) => kernel.source === source)).toBe(true);
  });
});

describe('Metal declarations', () => {
  it('have ids and names of their own, apart from those of the CPU', () => {
    expect(new Set(METAL_KERNELS.map(({ id }) => id)).size).toBe(METAL_KERNELS.length);
    expect(new Set(METAL_KERNELS.map(({ name }) => name)).size).toBe(METAL_KERNELS.length);
    for (const { id, source } of METAL_KERNELS) {
      expect(id).toBeGreaterThanOrEqual(256);
      expect(sources).toContain(source);
    }
  });

  it('fit the buffers that a launch has', () => {
    for (const { bufferNames } of METAL_KERNELS) expect(bufferNames.length).toBeLessThan(31);
  });
});
