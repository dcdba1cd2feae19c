// Every kernel family that operations run on a GPU, in shapes as small as an instance allows.
import type { Device } from '../../ts/device/device.ts';
import type { MatmulArgs } from '../../ts/dispatch/args.ts';
import type { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import type { TensorInput } from '../../ts/gguf/index.ts';
import { dequantizeTensor, softmax } from '../../ts/ops/elementwise.ts';
import { encodeExperts, expertMatmul } from '../../ts/ops/experts.ts';
import { getRows } from '../../ts/ops/get-rows.ts';
import { quantize } from '../../ts/ops/quantize.ts';
import { f32ToF16 } from '../../ts/tensor/half.ts';
import { type Comparison, type Run, random, type Side } from './sides.ts';

/** 70 rows end in the middle of every tile, and 1024 weights are enough to be shared by waves. */
const [N, K] = [70, 1024];
const WIDE_K = 256;
const [EXPERTS, EXPERT_N] = [4, 17];
/** Both devices round activations, each in its own way. */
const FAST = 0.02;
const EXACT = 1e-4;

/** Rows that give every compute unit of the GPU enough for the largest tiles: the same few again and again. */
function wide(rows: Uint8Array, count: number, gpu: Device): { readonly n: number; readonly bytes: Uint8Array } {
  const n = 96 * gpu.capabilities.computeUnits + 6;
  const bytes = new Uint8Array((rows.length / count) * n);
  for (let at = 0; at < bytes.length; at += rows.length) bytes.set(rows.subarray(0, bytes.length - at), at);
  return { n, bytes };
}

/** The weights of a format, or of f16. */
export function tensorsOf(dtype: string, gpu: Device): TensorInput[] {
  const values = (count: number) =>
    dtype === 'f16' ? new Uint8Array(Uint16Array.from(random(count), f32ToF16).buffer) : quantize(dtype, random(count));
  const [small, gate] = [values(N * K), values(N * K)];
  const { n, bytes } = wide(values(16 * WIDE_K), 16, gpu);
  const experts = small.subarray(0, (small.length / N) * EXPERTS * EXPERT_N);
  return [
    { name: `${dtype}.small`, shape: [N, K], dtype, data: small },
    { name: `${dtype}.gate`, shape: [N, K], dtype, data: gate },
    { name: `${dtype}.experts`, shape: [EXPERTS, EXPERT_N, K], dtype, data: experts },
    { name: `${dtype}.wide`, shape: [n, WIDE_K], dtype, data: bytes },
  ];
}

/** A matmul with everything that may be fused. */
function fused(dtype: string, m: number, gated: boolean, use: (side: Side) => MatmulDispatcher): Run {
  const [a, bias, gateBias, residual] = [random(m * K), random(N), random(N), random(m * N)];
  return async (side) => {
    using dispatcher = use(side);
    const args: MatmulArgs = {
      ...{ a: side.tensor(a, m, K), b: side.weights(`${dtype}.small`), transposeB: true, activation: 'silu' },
      ...(gated && { gate: side.weights(`${dtype}.gate`), gateBias: side.tensor(gateBias, N) }),
      ...{ bias: side.tensor(bias, N), residual: side.tensor(residual, m, N) },
      outDType: (['f32', 'f16', 'bf16'] as const)[m % 3]!,
    };
    return (await dispatcher.matmul(args)).read();
  };
}

/** A matmul with many rows of weights. */
function many(dtype: string, m: number, gated: boolean): Run {
  const a = random(m * WIDE_K);
  return async (side) => {
    using dispatcher = side.dispatcher('fast');
    const b = side.weights(`${dtype}.wide`);
    const args = { a: side.tensor(a, m, WIDE_K), b, transposeB: true, ...(gated && { gate: b }) };
    return (await dispatcher.matmul(args)).read();
  };
}

const chosen = Int32Array.of(2, 0, 1, 1, 3, 2, 2, 0, 2, 2);
const later = Int32Array.of(0, 1, 3, 3, 3, 3, 1, 1, 2, 0);

function experts(dtype: string, precision: 'fast' | 'exact', gated: boolean): Run {
  const [a, bias] = [random(5 * K), random(EXPERTS * EXPERT_N)];
  return async (side) => {
    using dispatcher = side.dispatcher(precision);
    const b = side.weights(`${dtype}.experts`);
    const out = await expertMatmul(dispatcher, {
      ...{ a: side.tensor(a, 5, K), b, ids: side.tensor(chosen, 5, 2), bias: side.tensor(bias, EXPERTS, EXPERT_N) },
      ...(gated && { gate: b, activation: 'gelu' as const }),
    });
    return out.read();
  };
}

/** Everything of one format. */
export async function formatFamily(comparison: Comparison, format: string): Promise<void> {
  for (const gated of [false, true]) {
    const with_ = gated ? ', gated' : '';
    for (const m of [1, 2, 3, 8]) {
      // With a gate, k is shared by waves.
      const use = (side: Side) => side.dispatcher('fast', gated ? { splitK: 256 } : 'default');
      await comparison.compare(`${format} fast ${m}${with_}`, FAST, fused(format, m, gated, use));
    }
    await comparison.compare(
      `${format} fast 40${with_}`,
      FAST,
      fused(format, 40, gated, (side) => side.dispatcher('fast')),
    );
    for (const m of [8, 33, 65]) await comparison.compare(`${format} wide ${m}${with_}`, FAST, many(format, m, gated));
    for (const m of [1, 3, 8, 33]) {
      const tolerance = m % 3 === 0 ? EXACT : 0.005;
      await comparison.compare(
        `${format} exact ${m}${with_}`,
        tolerance,
        fused(format, m, gated, (side) => side.dispatcher('exact')),
      );
    }
    await comparison.compare(`${format} experts${with_}`, FAST, experts(format, 'fast', gated));
  }
  await comparison.compare(`${format} decoded`, 1e-6, async (side) =>
    (await dequantizeTensor(side.blocks(`${format}.gate`))).read(),
  );
  await comparison.compare(`${format} rows`, 1e-6, async (side) =>
    (await getRows(side.weights(`${format}.small`), side.tensor(Int32Array.of(69, 0, 0, 33), 4))).read(),
  );
}

/** Plain weights, and what is the same for all formats. */
export async function commonFamily(comparison: Comparison, format: string): Promise<void> {
  for (const m of [1, 3, 8, 33]) {
    for (const gated of [false, true]) {
      await comparison.compare(
        `f16 ${m}`,
        0.005,
        fused('f16', m, gated, (side) => side.dispatcher('exact')),
      );
    }
  }
  await comparison.compare('f16 experts', EXACT, experts('f16', 'exact', true));
  await comparison.compare(`${format} experts, exact`, EXACT, experts(format, 'exact', true));
  await comparison.compare('f16 rows, one of none', 0, async (side) => {
    const index = side.tensor(Int32Array.of(3, -1, 70, 69), 4);
    return (await getRows(side.weights('f16.gate'), index, { outOfRange: 'nan' })).read();
  });
  await comparison.compare(`${format} in panels`, EXACT, panels(format));
  await comparison.compare(`${format} recorded`, FAST, recorded(format));
  await comparison.compare(`${format} experts, recorded`, FAST, recordedExperts(format));
  await comparison.compare('strides', EXACT, strided());
  for (const m of [1, 33]) await comparison.compare(`integers ${m}`, EXACT, integers(m));
  for (const m of [1, 33]) await comparison.compare(`halves ${m}`, EXACT, halves(m));
  await elementwise(comparison);
}

/** Weights that are decoded a part at a time. */
function panels(format: string): Run {
  const [a, residual] = [random(12 * WIDE_K), random(12)];
  return async (side) => {
    using dispatcher = side.dispatcher('exact', { exactPanelMiB: 1 });
    const b = side.weights(`${format}.wide`);
    const n = b.shape[0]!;
    const args = { a: side.tensor(a, 12, WIDE_K), b, residual: side.tensor(residual, 12, 1).broadcastTo([12, n]) };
    return (await dispatcher.matmul(args)).read();
  };
}

/** Projections of one input that share its rounding, the last one onto itself: replayed with new inputs. */
function recorded(format: string): Run {
  const [first, second, start] = [random(2 * K), random(2 * K), random(2 * N)];
  return async (side) => {
    using dispatcher = side.dispatcher('fast');
    const [a, sum] = [side.tensor(first, 2, K), side.tensor(start, 2, N)];
    const encoded = dispatcher.encodeAll([
      { a, b: side.weights(`${format}.small`) },
      { a, b: side.weights(`${format}.gate`) },
      { a, b: side.weights(`${format}.gate`), residual: sum, out: sum },
    ]);
    using list = side.device.record(encoded.flatMap(({ commands }) => commands));
    const results: Float32Array[] = [];
    for (const values of [first, second, first]) {
      a.buffer.write(new Uint8Array(values.buffer));
      await list.submit();
      for (const { out } of encoded) results.push(await out.read());
    }
    return Float32Array.from(results.flatMap((values) => [...values]));
  };
}

/** Experts that no host looks at: replayed with others. The CPU, which groups them itself, runs the list anew. */
function recordedExperts(format: string): Run {
  const a = random(5 * K);
  return async (side) => {
    using dispatcher = side.dispatcher('fast');
    const ids = side.tensor(chosen, 5, 2);
    const args = { a: side.tensor(a, 5, K), b: side.weights(`${format}.experts`), ids };
    const { out, commands } = encodeExperts(dispatcher, args, { check: false });
    const onDevice = commands.every(({ type }) => type === 'kernel');
    using list = onDevice ? side.device.record(commands) : null;
    const results: number[] = [];
    for (const values of [chosen, later]) {
      ids.buffer.write(new Uint8Array(values.buffer));
      await (list?.submit() ?? side.device.submit(commands));
      results.push(...(await out.read()));
    }
    return Float32Array.from(results);
  };
}

/** Plain operands of any strides: batches, backwards, transposed, repeated. */
function strided(): Run {
  const [a, b] = [random(3 * 5 * 48), random(2 * 48 * 31)];
  return async (side) => {
    using dispatcher = side.dispatcher('exact');
    const left = side.tensor(a, 3, 1, 48, 5).transpose().slice(null, null, { step: -1 });
    const right = side.tensor(b, 2, 31, 48).transpose();
    return (await dispatcher.matmul({ a: left, b: right })).read();
  };
}

/** Integer weights with a scale per row and group, and a zero point. */
function integers(m: number): Run {
  const [a, codes, scale] = [random(m * 96), random(96 * 31), random(31 * 3)];
  return async (side) => {
    using dispatcher = side.dispatcher('exact');
    const b = side.tensor(
      Int8Array.from(codes, (value) => value * 127),
      31,
      96,
    );
    const quantization = { scale: side.tensor(scale, 31, 3), zeroPoint: 5 };
    return (await dispatcher.matmul({ a: side.tensor(a, m, 96), b, transposeB: true, quantization })).read();
  };
}

/** Products of one 16-bit type, of weights that are dense along n. */
function halves(m: number): Run {
  const [a, b] = [random(m * 48), random(48 * 31)];
  return async (side) => {
    using dispatcher = side.dispatcher('exact');
    const half = (values: Float32Array, shape: readonly number[]) =>
      side.device.tensor(values, { shape, dtype: 'f16' });
    return (await dispatcher.matmul({ a: half(a, [m, 48]), b: half(b, [48, 31]) })).read();
  };
}

async function elementwise(comparison: Comparison): Promise<void> {
  for (const [rows, length] of [
    [3, 17],
    [5, 1000],
    [2, 20000],
  ] as const) {
    const [values, mask] = [random(rows * length), random(length)];
    await comparison.compare(`softmax ${rows}x${length}`, 1e-5, async (side) =>
      (await softmax(side.tensor(values, rows, length), { mask: side.tensor(mask, length), scale: 3 })).read(),
    );
    await comparison.compare(`softmax over columns ${rows}x${length}`, 1e-5, async (side) =>
      (await softmax(side.tensor(values, length, rows), { dimension: 0 })).read(),
    );
    await comparison.compare(`transposed ${rows}x${length}`, 0, async (side) =>
      (await side.tensor(values, rows, length).transpose().contiguous()).read(),
    );
    await comparison.compare(`halves ${rows}x${length}`, 0, async (side) =>
      (await (await side.tensor(values, rows, length).contiguous('bf16')).contiguous('f16')).read(),
    );
  }
}
