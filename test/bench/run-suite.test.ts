import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BaselineArgs, SessionArgs } from '../../bench/cli/options.ts';
import { runSuite } from '../../bench/cli/run-suite.ts';
import { type MatmulFields, type MatmulSuiteOptions, matmulSuite } from '../../bench/suites/matmul.ts';
import type { Suite, SuiteResult } from '../../bench/suites/suite.ts';
import type { ChromeTrace } from '../../ts/profile/trace.ts';
import { traceProblems } from '../profile/check-trace.ts';

const OPTIONS: MatmulSuiteOptions = {
  formats: ['q8_0', 'f32'],
  m: [1],
  n: [32],
  k: [64],
  precision: 'fast',
  variant: undefined,
};
const ARGS: SessionArgs & BaselineArgs = {
  backend: ['cpu'],
  threads: 1,
  isa: undefined,
  time: 1,
  rounds: 1,
  quick: true,
  seed: 1,
  json: true,
  threshold: 0.1,
  retries: 0,
  'save-baseline': undefined,
  'compare-baseline': undefined,
  'allow-other-hardware': false,
};

/** As matmul, but the user presses Ctrl-C after the first result. */
const interrupted: Suite<MatmulSuiteOptions, MatmulFields> = {
  ...matmulSuite,
  async *cases(session, options) {
    for await (const subject of matmulSuite.cases(session, options)) {
      yield subject;
      process.emit('SIGINT');
    }
  },
};

function captured() {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((chunk) => {
      text[name] += chunk;
      return true;
    });
  }
  return text;
}

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = 0;
});

describe('Ctrl-C', () => {
  it('ends a run between launches and prints what was measured', async () => {
    const before = process.listenerCount('SIGINT');
    const text = captured();
    await runSuite(interrupted, ARGS, OPTIONS);
    vi.restoreAllMocks();
    expect(process.exitCode).toBe(130);
    expect(text.stderr).toMatch(/^Interrupted: only the 1 result/);
    expect((JSON.parse(text.stdout) as MatmulFields[]).map(({ format }) => format)).toEqual(['q8_0']);
    expect(process.listenerCount('SIGINT')).toBe(before);
  });
});

describe('back ends', () => {
  it('that are not here are left out of all, and are failures where they are named', async () => {
    vi.stubEnv('TILEWRIGHT_GPU_DRIVER', '/nowhere/driver.so');
    const text = captured();
    await runSuite(matmulSuite, { ...ARGS, backend: 'all' }, OPTIONS);
    const found = (JSON.parse(text.stdout) as SuiteResult[]).map(({ environment }) => environment.backend);
    expect(found.filter((backend) => backend === 'cpu').length).toBe(2);
    text.stdout = '';
    await expect(runSuite(matmulSuite, { ...ARGS, backend: ['cpu', 'hip'] }, OPTIONS)).rejects.toMatchObject({
      code: 'ERR_BACKEND_UNAVAILABLE',
    });
    vi.restoreAllMocks();
    expect(text.stdout).toBe('');
  });
});

describe('a trace and a report', () => {
  it('of a run have its cases', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-run-'));
    try {
      const [trace, report] = [join(folder, 'trace.json'), join(folder, 'report.html')];
      captured();
      await runSuite(matmulSuite, { ...ARGS, trace, report }, OPTIONS);
      vi.restoreAllMocks();
      const told = JSON.parse(await readFile(trace, 'utf8')) as ChromeTrace;
      expect(traceProblems(told)).toEqual([]);
      const scopes = told.traceEvents.filter(({ cat }) => cat === 'scope').map(({ name }) => name);
      expect(scopes).toEqual(['matmul q8_0 m=1 n=32 k=64 fast', 'matmul f32 m=1 n=32 k=64 exact']);
      expect(told.traceEvents.some(({ cat, name }) => cat === 'kernel' && name.includes('1x32x64'))).toBe(true);
      expect(await readFile(report, 'utf8')).toMatch(/q8_0 m=1 n=32 k=64 fast.*class="candidates"/s);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a suite that fails', () => {
  it('prints no results and passes the failure on', async () => {
    const text = captured();
    const failing: Suite<MatmulSuiteOptions, MatmulFields> = {
      ...matmulSuite,
      // biome-ignore lint/correctness/useYield: it fails before it could.
      async *cases() {
        throw new Error('broken');
      },
    };
    await expect(runSuite(failing, ARGS, OPTIONS)).rejects.toThrow('broken');
    vi.restoreAllMocks();
    expect(text.stdout).toBe('');
  });
});
