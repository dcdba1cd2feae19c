import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkKernels, formatFinding } from '../../ts/testbed/check.ts';
import { announced, checkAndRun, found, hasClang, KERNELS, kernelFiles } from './support.ts';

describe.skipIf(!hasClang)('kernels that the check rejects', () => {
  it.concurrent.each(kernelFiles('reject'))(
    '%s is rejected with the rules and lines that it announces',
    async (name) => {
      const path = join(KERNELS, 'reject', name);
      const report = await checkKernels(path);
      expect(announced(path)).not.toEqual([]);
      expect(found(report), report.findings.map(formatFinding).join('\n')).toEqual(announced(path));
    },
  );
});

describe.skipIf(!hasClang)('kernels that the check accepts and a run convicts', () => {
  it.concurrent.each(kernelFiles('bugs'))('%s is reported with the rules and lines that it announces', async (name) => {
    const path = join(KERNELS, 'bugs', name);
    const report = await checkAndRun(path);
    expect(announced(path)).not.toEqual([]);
    expect(found(report), report.findings.map(formatFinding).join('\n')).toEqual(announced(path));
    for (const finding of report.findings) expect(finding.kernel).toBeDefined();
  });
});

describe.skipIf(!hasClang)('kernels that are right', () => {
  it.concurrent.each(kernelFiles('valid'))('%s passes the check and runs clean in every order', async (name) => {
    const path = join(KERNELS, 'valid', name);
    const report = await checkAndRun(path);
    expect(report.findings.map(formatFinding)).toEqual([]);
    expect(report.runs.length).toBeGreaterThan(0);
    for (const { counters } of report.runs) expect(counters?.threads).toBeGreaterThan(0);
  });
});

describe.skipIf(!hasClang)('HIP kernels that are right', () => {
  const files = kernelFiles('valid').filter((name) => name.endsWith('.hip') && !name.includes('wave64'));
  it.concurrent.each(files)('%s runs clean at wave 32 as well', async (name) => {
    const report = await checkAndRun(join(KERNELS, 'valid', name), { wave: 32 });
    expect(report.findings.map(formatFinding)).toEqual([]);
  });
});
