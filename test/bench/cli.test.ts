import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { MachineInfo } from '../../bench/info/machine.ts';
import type { ModelInfo } from '../../bench/info/model.ts';
import type { DequantFields } from '../../bench/suites/dequant.ts';
import type { MatmulFields } from '../../bench/suites/matmul.ts';
import type { SuiteResult } from '../../bench/suites/suite.ts';
import { MatmulVariant, QuantFormat, writeGGUF } from '../../ts/index.ts';
import { type Run, runCli, runNode } from './spawn.ts';

type MatmulResult = SuiteResult & MatmulFields;
type DequantResult = SuiteResult & DequantFields;

const ESCAPE = '\u001b';
const TINY = ['--n', '48', '--k', '256', '--threads', '2', '--quick'];

function json<T>({ code, stdout, stderr }: Run): T {
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as T;
}

describe('tilewright info', () => {
  it('tells of devices, the binary and the formats as JSON', async () => {
    const info = json<MachineInfo>(await runCli('tilewright', 'info', '--json'));
    const cpu = info.devices.find(({ backend }) => backend === 'cpu');
    expect(cpu).toMatchObject({ available: true, computeUnits: expect.any(Number), architecture: expect.any(String) });
    expect(info.devices.find(({ backend }) => backend === 'hip')).toMatchObject({
      available: false,
      reason: expect.stringMatching(/HIP|GPU driver/),
    });
    expect(info.native.tried.filter(({ error }) => error === null).map(({ path }) => path)).toEqual([
      info.native.loaded,
    ]);
    expect(info.native.isas).toContainEqual({ name: 'generic', supported: true });
    expect(info.formats.map(({ name }) => name)).toEqual(expect.arrayContaining(QuantFormat.list().map((f) => f.name)));
    expect(info.formats.find(({ name }) => name === 'q4_k')).toMatchObject({ blockSize: 256, bitsPerWeight: 4.5 });
  });

  it('tells why no binary works, and does not fail for it', async () => {
    const start = `import('./bench/cli/main.ts').then(({ main }) => main('tilewright', ['info', '--json']))`;
    const run = await runNode(['--eval', start], { TILEWRIGHT_NATIVE: '/nowhere/tilewright.node' });
    const info = json<MachineInfo>(run);
    expect(info.native.tried[0]).toEqual({
      what: 'TILEWRIGHT_NATIVE',
      path: '/nowhere/tilewright.node',
      error: expect.stringMatching(/nowhere/),
    });
  });

  it('prints the same without control characters into a pipe', async () => {
    const { code, stdout } = await runCli('tilewright', 'info');
    expect(code).toBe(0);
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).toMatch(/^cpu .* kernels$/m);
    expect(stdout).toMatch(/^q4_k +256 +144 +4\.50$/m);
  });
});

describe('tilewright info of a model', () => {
  const folder = mkdtemp(join(tmpdir(), 'tilewright-cli-'));
  afterAll(async () => rm(await folder, { recursive: true }));
  const model = (async () => {
    const path = join(await folder, 'model.gguf');
    await writeGGUF(path, {
      metadata: {
        'general.name': `evil${ESCAPE}[2Jname`,
        'tokenizer.tokens': Array.from({ length: 1000 }, (_, i) => `token ${i}`),
        big: 2n ** 60n,
      },
      tensors: [
        { name: 'a.weight', dtype: 'q8_0', shape: [2, 64], data: new Uint8Array(4 * 34) },
        { name: 'b.weight', dtype: 'f32', shape: [3], data: new Float32Array(3) },
      ],
    });
    return path;
  })();

  it('sums the tensors up and keeps long arrays short', async () => {
    const info = json<ModelInfo>(await runCli('tilewright', 'info', await model, '--json'));
    expect(info).toMatchObject({ weights: 131, tensorBytes: 148, parts: [{ version: 3 }] });
    expect(info.types).toEqual([
      { dtype: 'q8_0', tensors: 1, weights: 128, bytes: 136 },
      { dtype: 'f32', tensors: 1, weights: 3, bytes: 12 },
    ]);
    expect(info.metadata['tokenizer.tokens']?.value).toMatchObject({ type: 'string', length: 1000 });
    expect(info.metadata.big).toEqual({ type: 'u64', value: String(2n ** 60n) });
    expect(info.tensors[0]).toMatchObject({ name: 'a.weight', shape: [2, 64], dtype: 'q8_0' });
  });

  it('shows text of the file without letting it steer the terminal', async () => {
    const { code, stdout } = await runCli('tilewright', 'info', await model);
    expect(code).toBe(0);
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).toContain('evil\\u001b[2Jname');
    expect(stdout).toMatch(/^a\.weight +q8_0 +2 x 64 +136 B/m);
  });

  it('reads the header of a model on a web server', async () => {
    const file = await readFile(await model);
    const server = createServer((_, response) => response.setHeader('content-length', file.length).end(file));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
      const info = json<ModelInfo>(await runCli('tilewright', 'info', url, '--json'));
      expect(info).toMatchObject({ weights: 131, parts: [{ path: url, byteLength: file.length }] });
    } finally {
      server.close();
    }
  });

  it('fails with a sentence for what is no model', async () => {
    const { code, stdout, stderr } = await runCli('tilewright', 'info', join(await folder, 'missing.gguf'));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^tilewright: .*missing\.gguf/);
    expect(stderr).not.toMatch(/\n +at /);
  });
});

describe('bench matmul', () => {
  it('gives an array of results with every figure of the contract', async () => {
    const args = ['matmul', '--backend', 'cpu', '--format', 'q4_k,f16', '--m', '1,8', ...TINY, '--json'];
    const results = json<MatmulResult[]>(await runCli('bench', ...args));
    expect(results.map(({ format, m, n, k }) => [format, m, n, k])).toEqual([
      ['q4_k', 1, 48, 256],
      ['q4_k', 8, 48, 256],
      ['f16', 1, 48, 256],
      ['f16', 8, 48, 256],
    ]);
    for (const result of results) {
      const { m, n, k, ms } = result;
      const limit = result.limit!;
      expect(result).toMatchObject({
        threads: 2,
        isa: expect.any(String),
        kernel: expect.any(String),
        reason: expect.stringMatching(/row/),
        precision: result.format === 'q4_k' ? 'fast' : 'exact',
        method: { rounds: 2 },
      });
      expect(Object.values(MatmulVariant)).toContain(result.variant);
      expect(ms.samples.length).toBe(2 * result.method.batch);
      expect(0 < ms.min && ms.min <= ms.p50 && ms.p50 <= ms.p95 && ms.p95 <= ms.p99).toBe(true);
      expect(ms.mean).toBeGreaterThan(0);
      expect(ms.mad).toBeGreaterThanOrEqual(0);
      expect(result.gflops).toBeCloseTo((2 * m * n * k) / ms.p50 / 1e6, 9);
      const bytes = n * (result.format === 'q4_k' ? 144 : 512) + 4 * (m * k + m * n);
      expect(result.gbps).toBeCloseTo(bytes / ms.p50 / 1e6, 9);
      expect(['memory', 'compute', 'launch']).toContain(limit.kind);
      expect(limit.share).toBeCloseTo(limit.minimalMs[limit.kind] / ms.p50, 9);
      expect(limit.bandwidthGbps).toBe(result.bandwidth.p50);
      // Two rounds, and the probes before and after.
      expect(result.bandwidth.samples.length).toBe(4);
      expect(result.clockGops!.samples.length).toBe(4);
      expect(ms.interval.low <= ms.p50 && ms.p50 <= ms.interval.high).toBe(true);
      expect(limit.intensity).toBeCloseTo((2 * m * n * k) / bytes, 9);
      expect(limit.peakGops).toBeGreaterThan(0);
      expect(0 <= result.method.otherLoad && result.method.otherLoad <= 1).toBe(true);
      expect(result.wallMs.p50).toBeGreaterThan(0);
      expect(result.environment).toMatchObject({ backend: 'cpu', node: process.versions.node });
    }
  });

  it('is found under tilewright, too, and takes threads, isa, precision and variant', async () => {
    const options = ['--threads', '1', '--isa', 'generic', '--precision', 'exact', '--variant', 'Reference'];
    const args = ['--format', 'Q8_0', '--m', '2', '--n', '8', '--k', '64', '--rounds', '1', ...options, '--json'];
    const [result] = json<MatmulResult[]>(await runCli('tilewright', 'bench', 'matmul', ...args));
    expect(result).toMatchObject({
      format: 'q8_0',
      threads: 1,
      isa: 'generic',
      precision: 'exact',
      variant: 'Reference',
      kernel: 'matmul_reference',
      limit: { peakKind: 'f32' },
    });
  });

  it('prints a table without control characters or progress into a pipe', async () => {
    const { code, stdout, stderr } = await runCli('bench', 'matmul', '--format', 'q8_0', '--m', '1', ...TINY);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).not.toContain(ESCAPE);
    expect(stdout).not.toContain('\r');
    expect(stdout).toMatch(/^format +m +n +k +variant/);
    expect(stdout).toMatch(/^q8_0 +1 +48 +256 +QuantGemv .*%$/m);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it('measures what can run of a list and says what cannot', async () => {
    const args = ['--format', 'q8_0', '--m', '1,4', '--variant', 'QuantGemv', ...TINY, '--json'];
    const { code, stdout, stderr } = await runCli('bench', 'matmul', ...args);
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as MatmulResult[]).map(({ m }) => m)).toEqual([1]);
    expect(stderr).toMatch(/skipped q8_0 m=4 .*QuantGemv/);
  });
});

describe('bench dequant', () => {
  it('counts what is read and written', async () => {
    const args = ['dequant', '--format', 'q6_k', '--to', 'f16', ...TINY, '--json'];
    const [result] = json<DequantResult[]>(await runCli('bench', ...args));
    expect(result).toMatchObject({ suite: 'dequant', format: 'q6_k', to: 'f16', n: 48, k: 256 });
    expect(result!.bytes).toBe(48 * 210 + 2 * 48 * 256);
    expect(result!.gbps).toBeCloseTo(result!.bytes / result!.ms.p50 / 1e6, 9);
    expect(result!.limit!.share).toBeGreaterThan(0);
  });
});

describe('usage errors', () => {
  it.each([
    ['no command', ['bench'], /Name a command/],
    ['an unknown command', ['bench', 'matmult'], /Did you mean matmul/],
    ['an unknown option', ['bench', 'matmul', '--formats', 'q4_k'], /formats/],
    ['an unknown format', ['bench', 'matmul', '--format', 'q9_z'], /does not know "q9_z"\. Known: q4_0/],
    ['a size that is no number', ['bench', 'matmul', '--m', '1,many'], /--m takes whole numbers/],
    ['a size of zero', ['bench', 'matmul', '--n', '0'], /--n takes whole numbers/],
    ['a k that is not whole blocks', ['bench', 'matmul', '--format', 'q4_k', '--k', '100'], /Pad k to 256/],
    [
      'an unknown back end',
      ['bench', 'matmul', '--backend', 'cpu,cuda'],
      /--backend does not know "cuda"\. Known: auto, cpu/,
    ],
    ['no threads', ['bench', 'matmul', '--threads', '0'], /--threads takes a whole number from 1/],
    [
      'a variant that takes nothing of it',
      ['bench', 'matmul', '--m', '2', '--variant', 'QuantGemv', ...TINY],
      /No kernel takes/,
    ],
  ])('%s ends with 2, a sentence and where to look', async (_, [program, ...args], message) => {
    const { code, stdout, stderr } = await runCli(program as 'bench', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/--help` lists the options\.\n$/);
    expect(stderr).not.toMatch(/\n +at /);
  });

  it('a back end that is not here ends with 1 and says so', async () => {
    const { code, stdout, stderr } = await runCli('bench', 'matmul', '--backend', 'hip');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/HIP|GPU driver/);
  });

  it('--help and --version are none', async () => {
    const [help, version] = await Promise.all([runCli('bench', 'matmul', '--help'), runCli('tilewright', '--version')]);
    expect({ code: help.code, stderr: help.stderr }).toEqual({ code: 0, stderr: '' });
    expect(help.stdout).toMatch(/--format .*q4_0/);
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
