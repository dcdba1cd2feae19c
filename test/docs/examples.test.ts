import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it, vi } from 'vitest';
import { quantize, writeGGUF } from '../../ts/index.ts';
import { uniform } from '../support/values.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
mkdirSync(join(root, 'build/test'), { recursive: true });
const folder = mkdtempSync(join(root, 'build/test/docs-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const blocks = (file: string) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!);

it("the README's example runs as it stands", async () => {
  const model = join(folder, 'model.gguf');
  await writeGGUF(model, {
    tensors: [
      { name: 'blk.0.ffn_up.weight', shape: [16, 256], dtype: 'q4_k', data: quantize('q4_k', uniform(16 * 256, 1)) },
    ],
  });
  const file = join(folder, 'readme.ts');
  writeFileSync(file, blocks('README.md')[0]!.replace("'model.gguf'", JSON.stringify(model)));
  const log = vi.spyOn(console, 'log').mockImplementation(() => {});
  await import(file);
  const printed = log.mock.calls.flat();
  log.mockRestore();
  expect(printed[0]).toBeInstanceOf(Float32Array);
  expect(printed[1]).toContain('QuantGemv');
});

it('links in the documents lead somewhere', () => {
  const files = ['README.md', 'docs/architecture.md', 'docs/writing-a-kernel.md', 'docs/profiling.md'];
  const broken = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)].flatMap(([, target]) => {
      const path = relative(root, join(root, dirname(file), target!));
      try {
        readFileSync(join(root, path));
        return [];
      } catch (error) {
        return (error as NodeJS.ErrnoException).code === 'EISDIR' ? [] : [`${file}: ${target}`];
      }
    }),
  );
  expect(broken).toEqual([]);
});
