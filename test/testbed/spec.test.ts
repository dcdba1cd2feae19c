import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { decode, encode, readSpec, SCALARS, type ScalarName } from '../../ts/testbed/spec.ts';

const directory = mkdtempSync(join(tmpdir(), 'tilewright-spec-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'spec.json');
const read = (json: unknown) => {
  writeFileSync(path, typeof json === 'string' ? json : JSON.stringify(json));
  return readSpec(path);
};
const run = { kernel: 'k', grid: { threads: 4 }, group: [2] };

describe('a spec', () => {
  it('has defaults for everything but the kernel, the grid and the group', async () => {
    const [spec] = await read({ runs: [run] });
    expect(spec).toEqual({
      name: 'k',
      kernel: 'k',
      constants: {},
      grid: [4, 1, 1],
      gridInThreads: true,
      group: [2, 1, 1],
      threadgroupMemory: [],
      buffers: {},
      orders: ['forward', 'reverse', { random: 1 }],
      timeout: 60,
    });
  });

  it('lays out the fields of a struct as C does', async () => {
    const buffers = {
      args: {
        fields: [
          ['short', 1],
          ['int', 2],
          ['uchar', 3],
          ['ulong', 4],
          ['half', 1],
        ],
      },
    };
    const [spec] = await read({ runs: [{ ...run, buffers }] });
    const bytes = spec!.buffers.args!.data as Uint8Array;
    expect(bytes.length).toBe(32);
    expect(decode(bytes.subarray(0, 2), 'short')).toEqual([1]);
    expect(decode(bytes.subarray(4, 8), 'int')).toEqual([2]);
    expect(bytes[8]).toBe(3);
    expect(decode(bytes.subarray(16, 24), 'ulong')).toEqual([4]);
    expect(decode(bytes.subarray(24, 26), 'half')).toEqual([1]);
  });

  it('reads buffers from files beside it, and random ones again the same', async () => {
    writeFileSync(join(directory, 'x.bin'), encode([1, 2, 3], 'float'));
    const buffers = {
      x: { type: 'float', file: 'x.bin' },
      r: { type: 'float', count: 100, random: { seed: 9, from: 2, to: 3 } },
      out: { type: 'half', count: 8, output: true },
    };
    const [first] = await read({ runs: [{ ...run, buffers }] });
    const [second] = await read({ runs: [{ ...run, buffers }] });
    expect(decode(first!.buffers.x!.data as Uint8Array, 'float')).toEqual([1, 2, 3]);
    const values = decode(first!.buffers.r!.data as Uint8Array, 'float');
    expect(values.every((v) => v >= 2 && v <= 3)).toBe(true);
    expect(first!.buffers.r!.data).toEqual(second!.buffers.r!.data);
    expect(first!.buffers.out).toMatchObject({ data: { bytes: 16 }, mustWrite: true });
  });

  it.each([
    ['no JSON', '{'],
    ['no runs', {}],
    ['empty runs', { runs: [] }],
    ['an unknown key', { runs: [{ ...run, girds: 1 }] }],
    ['no kernel', { runs: [{ ...run, kernel: undefined }] }],
    ['both kinds of grid', { runs: [{ ...run, grid: { threads: 1, threadgroups: 1 } }] }],
    ['no kind of grid', { runs: [{ ...run, grid: {} }] }],
    ['a fraction of a thread', { runs: [{ ...run, group: 1.5 }] }],
    ['four dimensions', { runs: [{ ...run, group: [1, 1, 1, 1] }] }],
    ['an unknown type', { runs: [{ ...run, buffers: { a: { type: 'double', count: 1 } } }] }],
    ['no count', { runs: [{ ...run, buffers: { a: { type: 'float' } } }] }],
    ['a buffer of 4 GB', { runs: [{ ...run, buffers: { a: { type: 'float', count: 2 ** 30 } } }] }],
    ['a constant that is a string', { runs: [{ ...run, constants: { a: 'x' } }] }],
    ['an unknown order', { runs: [{ ...run, orders: ['sideways'] }] }],
    ['a field without a type', { runs: [{ ...run, buffers: { a: { fields: [[3]] } } }] }],
  ])('with %s is refused with the place of the mistake', async (_, json) => {
    await expect(read(json)).rejects.toMatchObject({ code: 'ERR_USAGE', message: expect.stringContaining(path) });
  });

  it('that names a missing file says which', async () => {
    const buffers = { a: { type: 'float', file: 'none.bin' } };
    await expect(read({ runs: [{ ...run, buffers }] })).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: expect.stringContaining('none.bin'),
    });
    await expect(readSpec(join(directory, 'none.json'))).rejects.toMatchObject({ code: 'ERR_FILE' });
  });

  it('encodes integers of every type so that they decode to themselves', () => {
    const small = fc.array(fc.integer({ min: 0, max: 127 }));
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(SCALARS) as ScalarName[])), small, (type, values) => {
        expect(decode(encode(values, type), type)).toEqual(values);
      }),
    );
  });
});
