import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { main } from '../../bench/cli/main.ts';
import type { LeastTimes } from '../../bench/predict/machine.ts';
import type { PredictedMatmul } from '../../bench/predict/matmul.ts';
import type { PredictedModel } from '../../bench/predict/model.ts';
import { modelOfFile, predictModel } from '../../bench/predict/model.ts';
import { publishedModel } from '../../bench/predict/models.ts';
import { CHIPS, chipNamed } from '../../ts/cost/index.ts';
import { QuantFormat, readGGUFHeader, rowBytes, writeGGUF } from '../../ts/index.ts';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = 0;
});

/** `bench predict` in this process: what it prints, and its exit code. */
async function predict(...args: readonly string[]): Promise<{ out: string; err: string; code: number }> {
  let [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += text;
    return true;
  });
  process.exitCode = 0;
  await main('bench', ['predict', ...args]);
  const code = Number(process.exitCode);
  vi.restoreAllMocks();
  return { out, err, code };
}

const document = readFileSync(new URL('../../docs/cost-model.md', import.meta.url), 'utf8');

describe('bench predict', () => {
  it('prints what docs/cost-model.md shows', async () => {
    const matmuls = await predict('--device', 'm2-max', '--format', 'q4_0', '--m', '1,8,512', '--top', '3');
    expect(document).toContain(matmuls.out.trimEnd());
    const models = await predict('--device', 'm1,m2-max,m4-max', '--model', 'llama3-8b', '--format', 'q4_k');
    expect(document).toContain(models.out.trimEnd());
  });

  it('shows the first configurations, and the dispatcher’s own wherever it stands', async () => {
    const { out, code } = await predict('--device', 'm1-max', '--m', '1,512', '--format', 'q4_0,f16', '--top', '2');
    expect(code).toBe(0);
    expect(out.match(/^(q4_0|f16) on m1-max: m (1|512), n 4096, k 4096; \d+ legal configurations$/gm)?.length).toBe(4);
    expect(out.match(/← dispatcher/g)?.length).toBe(4);
    expect(out).toMatch(/^1 +metal_gemv +r4 c1/m);
  });

  it('gives all of it as JSON, in the order of a sweep', async () => {
    const [found] = JSON.parse((await predict('--m', '16', '--json')).out) as PredictedMatmul[];
    const times = found!.configurations.map(({ estimate }) => estimate.ms);
    expect(times).toEqual([...times].sort((x, y) => x - y));
    expect(found!.configurations.map(({ place }) => place)).toEqual(times.map((_, i) => i + 1));
    expect(found!.configurations.filter(({ chosen }) => chosen).length).toBe(1);
    for (const { share } of found!.configurations) expect(share).toBeLessThanOrEqual(1);
  });

  it('lists the chips, and compares itself with published figures', async () => {
    expect(JSON.parse((await predict('--list', '--json')).out)).toEqual(CHIPS);
    expect((await predict('--list')).out).toMatch(/^m2-max +apple8 +38 +1\.398 +400 /m);
    const { out } = await predict('--check');
    expect(out).toMatch(/^decode +all in the fit: mean 3\.\d%, worst \d+\.\d%; family left out: mean 4\.\d%/m);
    const lines = out.split('\n').filter((line) => /%/.test(line));
    expect(lines.length).toBeGreaterThan(60);
    for (const line of lines) expect(document, 'the output of --check').toContain(line);
    expect(out).toMatch(/^m2-ultra +q4_0 +94\.3 /m);
  });

  it('knows the least times of this machine’s processor from its measured limits', async () => {
    const options = ['--device', 'cpu', '--format', 'f32', '--m', '1,64', '--n', '512', '--k', '512', '--quick'];
    const [one, many] = JSON.parse((await predict(...options, '--json')).out) as LeastTimes[];
    expect(one!.kernels.map(({ kernel }) => kernel).sort()).toEqual(['gemm', 'gemv']);
    expect(one!.kernels.find(({ chosen }) => chosen)!.kernel).toBe('gemv');
    expect(many!.kernels.find(({ chosen }) => chosen)!.kernel).toBe('gemm');
    const bytes = (kernel: string) => many!.kernels.find((entry) => entry.kernel === kernel)!.estimate.bytes;
    expect(bytes('gemv') - bytes('gemm')).toBe(7 * 512 * 512 * 4);
    expect((await predict(...options)).out).toMatch(/^f32 on cpu: .* GB\/s, .* us a launch\): m 1, n 512, k 512$/m);
    expect((await predict('--device', 'cpu', '--model', 'llama-7b')).err).toContain('--model needs chips');
  });

  it('says what it does not know', async () => {
    const chip = await predict('--device', 'm7');
    expect(chip).toMatchObject({ code: 2, err: expect.stringContaining('No chip is called "m7". Known: m1-7, m1,') });
    expect(await predict('--model', 'llama-9b')).toMatchObject({ code: 2, err: expect.stringContaining('llama3-8b') });
    const blocks = await predict('--k', '100', '--format', 'q4_k');
    expect(blocks.err).toContain('not a whole number of q4_k blocks');
    expect(blocks.code).not.toBe(0);
    expect((await predict('--model', './nowhere.gguf')).err).toContain('nowhere.gguf');
  });

  it('foretells a model’s tokens a second, from its file as from its published shape', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'predict-'));
    try {
      const path = join(folder, 'model.gguf');
      const [layers, hidden, keyValue, inner, vocabulary] = [2, 512, 128, 1024, 1000];
      const tensor = (name: string, n: number, k: number) => ({
        ...{ name, shape: [n, k], dtype: 'q4_0' },
        data: new Uint8Array(n * rowBytes(QuantFormat.get('q4_0'), k)),
      });
      const layer = (at: number) => [
        tensor(`blk.${at}.attn_q.weight`, hidden, hidden),
        tensor(`blk.${at}.attn_k.weight`, keyValue, hidden),
        tensor(`blk.${at}.attn_v.weight`, keyValue, hidden),
        tensor(`blk.${at}.attn_output.weight`, hidden, hidden),
        tensor(`blk.${at}.ffn_gate.weight`, inner, hidden),
        tensor(`blk.${at}.ffn_up.weight`, inner, hidden),
        tensor(`blk.${at}.ffn_down.weight`, hidden, inner),
      ];
      await writeGGUF(path, {
        metadata: {
          ...{ 'general.architecture': 'llama', 'general.name': 'Tiny\u001b[31m', 'llama.block_count': layers },
          ...{ 'llama.embedding_length': hidden, 'llama.attention.head_count': 8 },
          ...{ 'llama.attention.head_count_kv': 2, 'llama.feed_forward_length': inner },
        },
        tensors: [tensor('token_embd.weight', vocabulary, hidden), ...layer(0), ...layer(1)],
      } as never);
      const model = modelOfFile(await readGGUFHeader(path));
      expect(model).toMatchObject({ layers, hidden, heads: 8, keyValue, feedForward: inner });
      expect(model.matrices.map(({ name, n, k, count }) => [name, n, k, count])).toEqual([
        ['output', vocabulary, hidden, 1],
        ['attn_q', hidden, hidden, 2],
        ['attn_k', keyValue, hidden, 2],
        ['attn_v', keyValue, hidden, 2],
        ['attn_output', hidden, hidden, 2],
        ['ffn_gate', inner, hidden, 2],
        ['ffn_up', inner, hidden, 2],
        ['ffn_down', hidden, inner, 2],
      ]);
      const { out, code } = await predict('--model', path, '--device', 'm1,m2-max');
      expect(code).toBe(0);
      expect(out).not.toContain('\u001b[31m');
      expect(out.match(/^decode, 64 tokens before +\d+\.\d/gm)?.length).toBe(2);
      const [found] = JSON.parse((await predict('--model', path, '--json')).out) as PredictedModel[];
      const weights = model.matrices.reduce(
        (sum, { n, k, count }) => sum + n * count * rowBytes(QuantFormat.get('q4_0'), k),
        0,
      );
      expect(found!.decode.weightBytes).toBe(weights);
      expect(found!.prefill.tokensPerSecond).toBeGreaterThan(found!.decode.tokensPerSecond);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('counts of a published model as many bytes as its files have', () => {
    const found = predictModel(publishedModel('llama-7b', 'f16'), chipNamed('m2-max'), 512, 64);
    expect(found.decode.weightBytes).toBe(2 * (32 * (4 * 4096 ** 2 + 3 * 4096 * 11008) + 32000 * 4096));
    expect(found.decode.launches).toBe(3 + 32 * 16 + 32 * 7 + 1);
    const small = predictModel(publishedModel('qwen2.5-0.5b', 'q4_0'), chipNamed('m1'), 512, 64);
    expect(small.decode.tokensPerSecond).toBeGreaterThan(found.decode.tokensPerSecond);
  });
});
