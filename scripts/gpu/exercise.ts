// Every kernel family once or more on a GPU, checked against the CPU back end: short enough to run under a memory checker.
import { openDevice } from '../../ts/backends/open.ts';
import type { Device } from '../../ts/device/device.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { dequantizeTensor, softmax } from '../../ts/index.ts';
import { quantize } from '../../ts/ops/quantize.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';

await using gpu = await openDevice({ backend: 'hip' });
await using cpu = await openDevice({ backend: 'cpu' });
let seed = 1;
const random = (count: number) =>
  Float32Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });

let checks = 0;
let failures = 0;
/** Both devices' results, within `tolerance` of the largest. */
async function compare(name: string, tolerance: number, run: (device: Device) => Promise<Float32Array>) {
  const [got, wanted] = [await run(gpu), await run(cpu)];
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = wanted.reduce((most, value, i) => {
    const error = Math.abs(value - got[i]!);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(most, error);
  }, 0);
  checks++;
  if (worst <= tolerance * largest) return;
  failures++;
  console.error(`${name}: ${worst} apart, of at most ${largest}`);
}

const formats = QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name]));
for (const format of [...formats, null]) {
  for (const m of [1, 3, 8, 33]) {
    for (const precision of ['fast', 'exact'] as const) {
      const [n, k] = [70, 512];
      const [a, b, gate, bias] = [random(m * k), random(n * k), random(n * k), random(n)];
      const weights = (device: Device, values: Float32Array) =>
        format === null
          ? device.tensor(values, { shape: [n, k], dtype: 'f16' })
          : device.quantized(quantize(format, values), { format, shape: [n, k] });
      // Both round activations to 8 bits, each in its own way.
      await compare(
        `${format} ${precision} ${m}`,
        precision === 'fast' && format !== null ? 0.05 : 1e-4,
        async (device) => {
          using dispatcher = new MatmulDispatcher(device, { precision });
          const result = await dispatcher.matmul({
            a: device.tensor(a, { shape: [m, k] }),
            b: weights(device, b),
            transposeB: true,
            gate: weights(device, gate),
            bias: device.tensor(bias, { shape: [n] }),
            activation: 'silu',
          });
          return result.read();
        },
      );
    }
  }
  if (format === null) continue;
  const bytes = quantize(format, random(7 * 512));
  await compare(`${format} decoded`, 1e-6, async (device) =>
    (await dequantizeTensor(device.quantized(bytes, { format, shape: [7, 512] }))).read(),
  );
}
for (const [rows, length] of [
  [3, 17],
  [5, 1000],
  [2, 20000],
] as const) {
  const values = random(rows * length);
  await compare(`softmax ${rows}x${length}`, 1e-5, async (device) =>
    (await softmax(device.tensor(values, { shape: [rows, length] }))).read(),
  );
  await compare(`softmax over columns ${rows}x${length}`, 1e-5, async (device) =>
    (await softmax(device.tensor(values, { shape: [length, rows] }), { dimension: 0 })).read(),
  );
  await compare(`transposed ${rows}x${length}`, 0, async (device) =>
    (
      await device
        .tensor(values, { shape: [rows, length] })
        .transpose()
        .contiguous()
    ).read(),
  );
}
console.log(`${checks} results of ${gpu.capabilities.deviceName} agree with the CPU's but for ${failures}`);
process.exitCode = failures > 0 ? 1 : 0;
