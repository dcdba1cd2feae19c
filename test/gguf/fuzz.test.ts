// Mutated headers: each must be read or refused with a GGUF error; never another error, a hang or a large allocation.
// TILEWRIGHT_FUZZ_RUNS and TILEWRIGHT_FUZZ_SEED change how many there are and which.
import { gguf } from '@huggingface/gguf';
import { describe, expect, it } from 'vitest';
import { TilewrightError } from '../../ts/errors.ts';
import { GGUFFile } from '../../ts/gguf/file.ts';
import { readPart } from '../../ts/gguf/part.ts';
import { memorySource } from '../../ts/gguf/source.ts';
import type { MetadataArray, MetadataValue } from '../../ts/gguf/value-types.ts';
import { array, entry, f32, pair, parse, rawFile, str, u8, u32, u64 } from './raw.ts';

const RUNS = Number(process.env.TILEWRIGHT_FUZZ_RUNS ?? 20_000);
const SEED = Number(process.env.TILEWRIGHT_FUZZ_SEED ?? 1);

/** A small generator of 32-bit numbers (a Weyl sequence, mixed), so that a run can be repeated by its number. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) % below;
  };
}

/** Valid files that the mutations start from. */
const originals: readonly Buffer[] = [
  rawFile(),
  rawFile({ pairs: [pair('general.alignment', 'u32', u32(64))], tensors: [entry()], alignment: 64, data: 32 }),
  rawFile({
    pairs: [
      pair('general.architecture', 'string', str('llama')),
      pair('tokens', 'array', array('string', 4, str('<s>'), str(''), str('▁a'), str('\u{1F4A1}'))),
      pair('scores', 'array', array('f32', 4, f32(0, -1, -2, -3))),
      pair('flags', 'array', array('bool', 3, u8(1), u8(0), u8(1))),
      pair('eps', 'f32', f32(1e-5)),
      pair('big', 'u64', u64(2n ** 60n)),
    ],
    tensors: [
      entry({ name: 'token_embd.weight', dims: [256, 2], ggmlType: 12 }),
      entry({ name: 'blk.0.attn_norm.weight', dims: [8], offset: 288 }),
      entry({ name: 'blk.0.ffn.weight', dims: [32, 2, 2], ggmlType: 8, offset: 320 }),
    ],
    data: 320 + 136,
  }),
  rawFile({
    pairs: [pair('nested', 'array', array('array', 2, array('u16', 2, u32(7)), array('array', 1, array('i64', 0))))],
    tensors: [entry({ name: 'mystery', ggmlType: 200 }), entry({ name: 'known', offset: 32 })],
    data: 64,
  }),
];

const NUMBERS = [0n, 1n, 2n, 7n, 9n, 31n, 32n, 255n, 2n ** 16n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 64n - 1n];

/** One change of a kind that a broken or malicious writer might make. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  const at = random(bytes.length + 1);
  const length = Math.min(random(24), bytes.length - at);
  const number = NUMBERS[random(NUMBERS.length)]!;
  const changed = Buffer.from(bytes);
  switch (random(8)) {
    case 0: // flip a bit
      if (at < bytes.length) changed[at]! ^= 1 << random(8);
      return changed;
    case 1: // any byte
      if (at < bytes.length) changed[at] = random(256);
      return changed;
    case 2: // a number of 32 bits
      if (at + 4 <= bytes.length) changed.writeUInt32LE(Number(BigInt.asUintN(32, number)), at);
      return changed;
    case 3: // a number of 64 bits
      if (at + 8 <= bytes.length) changed.writeBigUInt64LE(number, at);
      return changed;
    case 4: // cut
      return changed.subarray(0, at);
    case 5: // remove
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 6: // repeat
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default: {
      // splice with another file
      const other = originals[random(originals.length)]!;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]);
    }
  }
}

function mutant(run: number): Buffer {
  const random = generator(SEED * 1_000_003 + run);
  let bytes = originals[random(originals.length)]!;
  for (let changes = 1 + random(3); changes > 0; changes--) bytes = mutate(bytes, random);
  return bytes;
}

/** What must hold of every file that was accepted. */
function checkAccepted(file: GGUFFile, size: number): void {
  let end = 0;
  for (const tensor of [...file.tensors].sort((a, b) => a.offset - b.offset)) {
    const { name, shape, offset, byteLength = 1 } = tensor;
    if (name === '' || file.tensor(name) !== tensor) throw new Error(`name "${name}"`);
    if (shape.length < 1 || shape.length > 4 || !shape.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
      throw new Error(`shape [${shape.join(', ')}]`);
    }
    if (offset < end || offset % file.alignment !== 0 || byteLength < 1 || offset + byteLength > size) {
      throw new Error(`${byteLength} bytes at ${offset} of ${size}`);
    }
    end = offset + byteLength;
  }
  for (const value of Object.values(file.metadata)) countItems(value);
}

/** Decodes everything that is decoded lazily. */
function countItems(value: MetadataValue): number {
  if (typeof value !== 'object') return 1;
  let count = 0;
  for (const item of value as Iterable<MetadataValue | MetadataArray>) count += countItems(item);
  return count;
}

describe('mutated headers', () => {
  it(`are read or refused with a GGUF error (${RUNS} of them, seed ${SEED})`, { timeout: 1e9 }, async () => {
    const outcomes = new Map<string, number>();
    for (let run = 0; run < RUNS; run++) {
      const bytes = mutant(run);
      const source = memorySource('fuzz.gguf', bytes);
      const before = process.memoryUsage().arrayBuffers;
      let outcome: string;
      try {
        const part = await readPart({
          ...source,
          read: (target, position) => {
            if (position + target.length > bytes.length) throw new Error('read beyond the end');
            return source.read(target, position);
          },
        });
        checkAccepted(new GGUFFile([part]), bytes.length);
        outcome = 'accepted';
      } catch (error) {
        if (!(error instanceof TilewrightError) || !error.code.startsWith('ERR_GGUF_')) {
          throw new Error(`Run ${run} of seed ${SEED}: ${bytes.toString('hex')}`, { cause: error });
        }
        outcome = error.code;
      }
      const allocated = process.memoryUsage().arrayBuffers - before;
      if (allocated > 2 ** 20) throw new Error(`Run ${run} of seed ${SEED} allocated ${allocated} bytes`);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // The mutations must reach all kinds of outcome, or they test little.
    if (RUNS >= 1000) {
      const kinds = ['ERR_GGUF_INVALID', 'ERR_GGUF_LIMIT', 'ERR_GGUF_TRUNCATED', 'ERR_GGUF_UNSUPPORTED', 'accepted'];
      expect([...outcomes.keys()].sort()).toEqual(kinds);
      expect(outcomes.get('accepted')).toBeGreaterThan(RUNS / 50);
    }
  });

  it('that are read, are read alike by @huggingface/gguf', async () => {
    let compared = 0;
    for (let run = 0; run < 1500; run++) {
      const bytes = mutant(run);
      const file = await parse(bytes).catch(() => undefined);
      if (!file) continue;
      const answer = async () => new Response(new Uint8Array(bytes), { status: 206 });
      const theirs = await gguf('http://test/fuzz.gguf', { fetch: answer });
      const ours = file.tensors.map(({ name, shape, ggmlType, offset }) => ({
        name,
        n_dims: shape.length,
        shape: [...shape].reverse().map(BigInt),
        dtype: ggmlType,
        offset: BigInt(offset) - theirs.tensorDataOffset,
      }));
      expect(ours, `run ${run} of seed ${SEED}: ${bytes.toString('hex')}`).toEqual(theirs.tensorInfos);
      compared++;
    }
    expect(compared).toBeGreaterThan(30);
  });
});
