import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import type { Device } from '../../ts/device/device.ts';
import { Tensor } from '../../ts/device/tensor.ts';
import type { Weights } from '../../ts/dispatch/args.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { quantize } from '../../ts/ops/quantize.ts';
import { DTYPES, isDType } from '../../ts/tensor/dtype.ts';
import { f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import { Layout } from '../../ts/tensor/layout.ts';
import { getQuantFormat, QuantFormat, rowBytes } from '../../ts/tensor/quant-format.ts';
import { lastLevelCacheBytes } from '../limits/cache.ts';
import { normals } from '../stats/random.ts';

/** Weights that matmul takes in benchmarks: all block formats, and the float types. */
export const WEIGHT_FORMATS: readonly string[] = [
  ...QuantFormat.list().map(({ name }) => name),
  ...Object.values(DTYPES).flatMap(({ name, float }) => (float ? [name] : [])),
];

/** Copies of the weights together are at least this large, and this many times the last cache. */
const MIN_ROTATION_BYTES = 400e6;
const ROTATION_CACHES = 10;
/** More copies than a round can take are of no use: the probe that begins a round pushes out the last cache. */
const MAX_COPIES = 128;
/** Values that are drawn; rows repeat after them. Encoding all of a large matrix would take longer than measuring it. */
const DRAWN_VALUES = 1 << 18;
/** Copies start at multiples of a cache line, as tensors do in a file. */
const ALIGNMENT = 64;

/** Bytes of `n` rows of `k` weights. @throws ERR_SHAPE_MISMATCH if rows are not whole blocks */
export function weightBytes(format: string, n: number, k: number): number {
  return n * (isDType(format) ? k * DTYPES[format].bytes : rowBytes(getQuantFormat(format), k));
}

/** In short runs. */
const QUICK_COPIES = 2;

/** Copies of so many bytes that leave the caches together. */
export function copiesFor(bytes: number, memoryBytes: number, quick = false): number {
  if (quick) return QUICK_COPIES;
  const wanted = Math.max(MIN_ROTATION_BYTES, ROTATION_CACHES * lastLevelCacheBytes());
  const room = Math.max(1, Math.floor(memoryBytes / 3 / Math.max(bytes, 1)));
  return Math.min(Math.max(Math.ceil(wanted / Math.max(bytes, 1)), 2), MAX_COPIES, room);
}

/** The same weights several times in different memory, so that walking through them never finds one in a cache. */
export class WeightCopies implements Disposable {
  readonly copies: readonly Weights[];

  constructor(
    device: Device,
    options: { format: string; n: number; k: number; seed: number; copies?: number; quick?: boolean },
  ) {
    const { format, n, k, seed } = options;
    const bytes = weightBytes(format, n, k);
    const step = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const count = options.copies ?? copiesFor(step, device.capabilities.memoryBytes, options.quick);
    if (step * count > device.capabilities.memoryBytes / 2) {
      throw new TilewrightError(
        'ERR_USAGE',
        `${count} copies of ${format} weights of [${n}, ${k}] take more than half of the memory; use a smaller --n or --k.`,
      );
    }
    using buffer = device.buffer(step * count);
    const rows = randomRows(format, k, seed);
    for (let i = 0; i < count; i++) tile(buffer, i * step, bytes, rows);
    this.copies = Array.from({ length: count }, (_, i) => {
      const view = buffer.retain();
      return isDType(format)
        ? new Tensor(view, format, new Layout([n, k], undefined, (i * step) / DTYPES[format].bytes))
        : device.quantizedView(view, i * step, { format, shape: [n, k] });
    });
  }

  dispose(): void {
    for (const copy of this.copies) copy.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** Bytes of some rows of normally distributed weights, of the size that trained ones have. */
function randomRows(format: string, k: number, seed: number): Uint8Array {
  const rows = Math.max(1, Math.ceil(DRAWN_VALUES / Math.max(k, 1)));
  const values = normals(seed, rows * k, 1 / Math.sqrt(Math.max(k, 1)));
  if (!isDType(format)) return quantize(format, values);
  const convert = { f32: null, f16: f32ToF16, bf16: f32ToBf16 }[format as 'f32' | 'f16' | 'bf16'];
  return new Uint8Array((convert === null ? values : Uint16Array.from(values, convert)).buffer);
}

function tile(buffer: DeviceBuffer, offset: number, bytes: number, rows: Uint8Array): void {
  for (let at = 0; at < bytes; at += rows.length) {
    buffer.write(rows.subarray(0, Math.min(rows.length, bytes - at)), offset + at);
  }
}
