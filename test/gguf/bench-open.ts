// How long does it take to open a vocabulary? Compares with @huggingface/gguf in the same run.
// Run: npx tsx test/gguf/bench-open.ts [rounds] [file.gguf ...]
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gguf } from '@huggingface/gguf';
import { readGGUFHeader, writeGGUF } from '../../ts/gguf/index.ts';

const [rounds = 7, ...given] = process.argv.slice(2).map((arg) => (/^\d+$/.test(arg) ? Number(arg) : arg));

/** Words of the lengths that byte-pair vocabularies have: 2 to 13 letters. */
const word = (i: number) => 'abcdefghijklmnopqrstuvwxyz'.slice(i % 13, (i % 13) + 2 + (i % 12)) + i.toString(36);

async function writeVocabulary(path: string, count: number): Promise<void> {
  const indices = Array.from({ length: count }, (_, i) => i);
  await writeGGUF(path, {
    metadata: {
      'general.architecture': 'llama',
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.tokens': indices.map((i) => `▁${word(i)}`),
      'tokenizer.ggml.scores': Float32Array.from(indices, (i) => -i),
      'tokenizer.ggml.token_type': Int32Array.from(indices, () => 1),
      'tokenizer.ggml.merges': indices.map((i) => `${word(i)} ${word(i + 7)}`),
    },
  });
}

async function time(open: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await open();
  return performance.now() - start;
}

const sorted = (samples: readonly number[]) => [...samples].sort((a, b) => a - b);
const show = (samples: readonly number[]) => {
  const ms = sorted(samples);
  const [low, middle, high] = [ms[0]!, ms[ms.length >> 1]!, ms.at(-1)!].map((value) => value.toFixed(1));
  return `${middle} (${low}..${high})`.padEnd(24);
};

const folder = await mkdtemp(join(tmpdir(), 'tilewright-bench-'));
try {
  const paths = given.map(String);
  for (const thousands of paths.length > 0 ? [] : [128, 256]) {
    const path = join(folder, `synthetic-${thousands}k.gguf`);
    await writeVocabulary(path, thousands * 1024);
    paths.push(path);
  }
  console.log(`median (least..most) of ${rounds} in ms, node ${process.version}`);
  console.log(`${'file'.padEnd(32)}${'MB'.padStart(5)}  ${'tilewright'.padEnd(24)}@huggingface/gguf`);
  for (const path of paths) {
    const ours: number[] = [];
    const theirs: number[] = [];
    // Not in turns: the other reader leaves garbage behind that would be collected on this one's time.
    for (let i = 0; i < Number(rounds); i++) ours.push(await time(() => readGGUFHeader(path)));
    for (let i = 0; i < Number(rounds); i++) theirs.push(await time(() => gguf(path, { allowLocalFile: true })));
    const megabytes = ((await stat(path)).size / 1e6).toFixed(1).padStart(5);
    console.log(`${basename(path).padEnd(32)}${megabytes}  ${show(ours)}${show(theirs)}`);
  }
} finally {
  await rm(folder, { recursive: true });
}
