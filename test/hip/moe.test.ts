import { describe, expect, it } from 'vitest';
import { dequantize, QuantFormat, quantize } from '../../ts/index.ts';
import { stepOfFormat } from '../../ts/kernels/hip/gemv.ts';
import { hipMoeGemv, hipMoeTiles, MOE_COLUMNS, moeTiles } from '../../ts/kernels/hip/moe.ts';
import { ACTIVATIONS } from '../../ts/kernels/types.ts';
import { decodeFloats, encodeFloats } from '../metal/matmul-case.ts';
import { hasClang } from '../metal/support.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { uniform } from '../support/values.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';
import { encodeQ8 } from './q8.ts';

async function makeTiles(target: Target, ids: readonly number[], experts: number): Promise<Uint8Array> {
  const tiles = moeTiles(ids.length, experts);
  const { outputs } = await launch({
    kernel: hipMoeTiles as never,
    target,
    constants: {},
    params: { pairs: ids.length, experts, tiles },
    buffers: {
      ids: new Uint8Array(Int32Array.from(ids).buffer),
      tiles: { bytes: tiles * (8 + 4 * MOE_COLUMNS) },
    },
  });
  return outputs.tiles!;
}

/** Tiles that have pairs: [expert, its pairs]. */
function read(tiles: Uint8Array): [number, number[]][] {
  const words = new Uint32Array(tiles.slice().buffer);
  return Array.from({ length: words.length / 6 }, (_, i): [number, number[]] => {
    const count = words[6 * i + 1]!;
    return [words[6 * i]!, [...words.subarray(6 * i + 2, 6 * i + 2 + count)]];
  }).filter(([, pairs]) => pairs.length > 0);
}

async function run(target: Target, format: string, ids: readonly number[], share: number, gated: boolean) {
  const [experts, n, k] = [3, 5, 512];
  const { id, blockSize, blockBytes } = QuantFormat.get(format);
  const rows = Math.ceil(ids.length / share);
  const a = encodeQ8(uniform(rows * k, 1), rows, k, 1, stepOfFormat(id!));
  const weights = (seed: number) => {
    const bytes = quantize(format as 'q4_k', uniform(experts * n * k, seed));
    return { bytes, values: dequantize(format as 'q4_k', bytes) };
  };
  const b = weights(2);
  const gate = gated ? weights(3) : undefined;
  const bias = uniform(experts * n, 4);
  const tiles = await makeTiles(target, ids, experts);
  const row = (k / blockSize) * blockBytes;
  const { outputs } = await launch({
    kernel: hipMoeGemv as never,
    target,
    constants: { b_dtype: id!, gate: gated ? 1 : 0 },
    params: {
      ...{ pairs: ids.length, n, k, tiles: moeTiles(ids.length, experts), experts, share, split_shift: 1, groups: 2 },
      ...{ b_stride: [row, 0], gate_stride: [row, 0], b_expert: n * row, gate_expert: n * row, bias_expert: n },
      ...{ out_stride: [n, 1], residual_stride: [0, 0], bias_stride: 1, gate_bias_stride: 1 },
      ...{ out_dtype: 0, residual_dtype: 0, bias_dtype: 0 },
      ...{ activation: gated ? ACTIVATIONS.silu : ACTIVATIONS.none, alpha: 1, beta: 0 },
    },
    buffers: {
      ...{ a: a.bytes, b: b.bytes, out: { bytes: ids.length * n * 4 }, bias: encodeFloats(bias, 'f32'), tiles },
      ...(gate && { gate: gate.bytes }),
    },
  });
  const got = decodeFloats(outputs.out!, 'f32');
  for (const [i, expert] of ids.entries()) {
    const own = (values: Float32Array) => values.subarray(expert * n * k, (expert + 1) * n * k);
    const at = Math.floor(i / share);
    const { values, bounds } = referenceMatmul({
      ...{ batch: 1, m: 1, n, k, a: a.rounded.subarray(at * k, (at + 1) * k), b: own(b.values) },
      ...{ gate: gate && own(gate.values), bias: bias.subarray(expert * n, (expert + 1) * n) },
      ...{ alpha: 1, beta: 0, activation: gated ? 'silu' : 'none', outDType: 'f32', fast: false },
    });
    expect(firstMiss(got.subarray(i * n, (i + 1) * n), values, bounds), `pair ${i}`).toBeNull();
  }
}

describe.skipIf(!hasClang).each(['gfx906', 'gfx1100'] as const)('HIP experts on %s', (target) => {
  it('groups pairs by expert in tiles, in order, and leaves out what is no expert', async () => {
    const ids = [2, 0, 2, 2, -1, 2, 2, 0, 7, 2];
    expect(read(await makeTiles(target, ids, 4))).toEqual([
      [0, [1, 7]],
      [2, [0, 2, 3, 5]],
      [2, [6, 9]],
    ]);
    expect(read(await makeTiles(target, Array(300).fill(299), 300))).toHaveLength(75);
  });

  it('multiplies each pair by the weights of its expert, once per tile', async () => {
    await run(target, 'q4_k', [1, 0, 1, 1, 2, 1, 1, 0], 2, true);
    await run(target, 'q6_k', [2, 2, 0], 1, false);
  });
});
