import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type MetadataInput, readGGUFHeader, splitPartName, writeGGUF } from '../../ts/gguf/index.ts';
import { failure, temporaryFolder } from './raw.ts';

const folder = await temporaryFolder();
let models = 0;

interface PartPlan {
  readonly tensors: readonly string[];
  readonly split?: Readonly<Record<string, MetadataInput>>;
}

/** Writes a split model and returns the paths of its parts. */
async function writeSplit(plan: readonly PartPlan[]): Promise<string[]> {
  const prefix = join(folder, `model-${models++}`);
  const total = plan.reduce((sum, { tensors }) => sum + tensors.length, 0);
  const paths: string[] = [];
  for (const [i, { tensors, split = {} }] of plan.entries()) {
    const path = splitPartName(prefix, i, plan.length);
    await writeGGUF(path, {
      metadata: {
        ...(i === 0 ? { 'general.name': 'first' } : {}),
        'split.no': { type: 'u16', value: i },
        'split.count': { type: 'u16', value: plan.length },
        'split.tensors.count': { type: 'i32', value: total },
        ...split,
      },
      tensors: tensors.map((name) => ({ name, shape: [i + 1], dtype: 'f32', data: new Float32Array(i + 1) })),
    });
    paths.push(path);
  }
  return paths;
}

describe('a split model', () => {
  it('is read whole, whichever part is opened', async () => {
    const paths = await writeSplit([{ tensors: ['a', 'b'] }, { tensors: [] }, { tensors: ['c'] }]);
    for (const path of paths) {
      const file = await readGGUFHeader(path);
      expect(file.parts.map((part) => part.path)).toEqual(paths);
      expect(file.metadata['general.name']).toBe('first');
      expect(file.tensors.map(({ name, part }) => [name, part])).toEqual([
        ['a', 0],
        ['b', 0],
        ['c', 2],
      ]);
      expect(file.place('c')).toMatchObject({ path: paths[2], part: 2, byteLength: 12 });
    }
  });

  it('is read one part at a time when asked to', async () => {
    const paths = await writeSplit([{ tensors: ['a'] }, { tensors: ['b'] }]);
    const file = await readGGUFHeader(paths[1]!, { siblings: false });
    expect(file.parts.length).toBe(1);
    expect(file.tensors.map(({ name }) => name)).toEqual(['b']);
  });

  it('names its parts as ggml does', () => {
    expect(splitPartName('dir/model', 0, 3)).toBe('dir/model-00001-of-00003.gguf');
  });

  it('is one file if its count says so, whatever its name is', async () => {
    const paths = await writeSplit([{ tensors: ['a'] }]);
    expect((await readGGUFHeader(paths[0]!)).tensors.length).toBe(1);
    const merged = await writeGGUF(join(folder, 'm-00001-of-00002.gguf'), { metadata: { 'split.count': 0 } });
    expect((await readGGUFHeader(merged.parts[0]!.path)).parts.length).toBe(1);
  });

  it('is refused when a part is missing, with its name', async () => {
    const paths = await writeSplit([{ tensors: ['a'] }, { tensors: ['b'] }, { tensors: ['c'] }]);
    await rm(paths[1]!);
    const error = await failure(readGGUFHeader(paths[2]!), 'ERR_FILE');
    expect(error.message).toContain(paths[1]);
    expect(error.message).toContain('one of 3 parts');
  });

  it('is refused when a part is truncated or is no GGUF file', async () => {
    const paths = await writeSplit([{ tensors: ['a'] }, { tensors: ['b'] }]);
    const { truncate } = await import('node:fs/promises');
    await truncate(paths[1]!, 60);
    await failure(readGGUFHeader(paths[0]!), 'ERR_GGUF_TRUNCATED');
  });

  it('is refused when a part was renamed', async () => {
    const paths = await writeSplit([{ tensors: ['a'] }, { tensors: ['b'] }]);
    const renamed = join(folder, 'renamed.gguf');
    await rename(paths[0]!, renamed);
    const error = await failure(readGGUFHeader(renamed), 'ERR_GGUF_INVALID');
    expect(error.message).toContain('name-00001-of-00002.gguf');

    // Swapped with another part, or taken from a model of more parts.
    for (const [number, count] of [
      [1, 2],
      [0, 3],
    ] as const) {
      const wrong = splitPartName(join(folder, 'wrong'), number, count);
      await rename(number === 1 ? renamed : splitPartName(join(folder, 'wrong'), 1, 2), wrong);
      const { message } = await failure(readGGUFHeader(wrong), 'ERR_GGUF_INVALID');
      expect(message).toContain('wrong-00001-of-00002.gguf');
    }
  });

  it.each([
    ['a tensor is in two parts', [{ tensors: ['a'] }, { tensors: ['a'] }], '"a" is in two parts'],
    [
      'parts are missing tensors',
      [
        { tensors: ['a'], split: { 'split.tensors.count': 9 } },
        { tensors: ['b'], split: { 'split.tensors.count': 9 } },
      ],
      'says 9',
    ],
    [
      'the parts speak of different totals',
      [{ tensors: ['a'] }, { tensors: ['b'], split: { 'split.tensors.count': 1 } }],
      'does not belong',
    ],
    [
      'the parts speak of different counts',
      [{ tensors: ['a'] }, { tensors: ['b'], split: { 'split.count': 3 } }],
      '"split.count" is 3, not 2',
    ],
    [
      'the parts are in the wrong order',
      [{ tensors: ['a'] }, { tensors: ['b'], split: { 'split.no': 0 } }],
      '"split.no" is 0, not 1',
    ],
    ['its number is beyond its count', [{ tensors: [], split: { 'split.no': 2 } }, { tensors: [] }], '0 to 1'],
    ['its number is text', [{ tensors: [], split: { 'split.no': 'one' } }, { tensors: [] }], 'whole number'],
    ['its count is negative', [{ tensors: [], split: { 'split.count': -2 } }, { tensors: [] }], 'whole number'],
  ] as const)('is refused when %s', async (_what, plan, text) => {
    const paths = await writeSplit(plan);
    const error = await failure(readGGUFHeader(paths[0]!), 'ERR_GGUF_INVALID');
    expect(error.message).toContain(text);
  });
});
