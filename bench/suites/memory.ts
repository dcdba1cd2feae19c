import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { writeGGUF } from '../../ts/gguf/index.ts';
import { loadGGUF } from '../../ts/ops/load-gguf.ts';
import { quantize } from '../../ts/ops/quantize.ts';
import { getQuantFormat, rowBytes } from '../../ts/tensor/quant-format.ts';
import { bytes as size } from '../report/format.ts';
import { normals } from '../stats/random.ts';
import { matmulOperation } from './matmul.ts';
import type { Session } from './session.ts';
import type { Case, Suite } from './suite.ts';

export interface MemorySuiteOptions {
  readonly mib: readonly number[];
}

export interface MemoryFields {
  readonly what: string;
  /** Bytes of the buffer or the weights. */
  readonly size: number;
  /** Resident bytes of the process after the samples, less those before. */
  readonly grownBytes: number;
  /** The most resident bytes that the process ever had. */
  readonly peakBytes: number;
}

/** Weights of the loading and mapping cases. */
const FORMAT = 'q8_0';
const K = 4096;
const NAME = 'weights';

type Unfinished = Omit<Case<MemoryFields>, 'fields'>;

async function* cases(
  session: Session,
  options: MemorySuiteOptions,
): AsyncGenerator<Case<MemoryFields>, void, undefined> {
  void session.limits.probe; // its memory is none of the cases'
  for (const mib of options.mib) {
    const bytes = mib << 20;
    for (const part of [buffers, results, weights]) {
      const before = process.memoryUsage.rss();
      for await (const subject of part(session, bytes)) {
        session.signal.throwIfAborted();
        yield {
          ...subject,
          name: `${subject.name} ${mib} MiB`,
          fields: () => ({
            what: subject.name,
            size: bytes,
            grownBytes: process.memoryUsage.rss() - before,
            // Kilobytes on every platform.
            peakBytes: process.resourceUsage().maxRSS * 1024,
          }),
        };
      }
    }
  }
}

/** Getting memory, filling and reading it. */
async function* buffers({ device, seed }: Session, bytes: number): AsyncGenerator<Unfinished, void, undefined> {
  const data = new Uint8Array(normals(seed, bytes / 4).buffer);
  const target = new Uint8Array(bytes);
  using kept = device.buffer(bytes);
  const moved = { bytes: 2 * bytes, operations: 0, launches: 0 };
  const write = { host: () => kept.write(data) };
  yield { name: 'allocate', operations: [{ host: () => device.buffer(bytes).dispose() }], work: null };
  yield {
    name: 'allocate and write',
    operations: [
      {
        host() {
          using fresh = device.buffer(bytes);
          fresh.write(data);
        },
      },
    ],
    work: moved,
    against: { name: 'write to a kept one', operations: [write] },
  };
  yield { name: 'write', operations: [write], work: moved };
  yield { name: 'read', operations: [{ host: () => kept.read(target) }], work: moved };
}

/** A matmul whose result is as large as `bytes`, into a new tensor every time and into the same one. */
async function* results({ device, seed, signal }: Session, bytes: number): AsyncGenerator<Unfinished, void, undefined> {
  const [n, k] = [4096, 32];
  const m = Math.max(1, Math.round(bytes / 4 / n));
  using dispatcher = new MatmulDispatcher(device);
  using a = device.tensor(normals(seed, m * k), { shape: [m, k] });
  using b = device.tensor(normals(seed + 1, n * k), { shape: [n, k] });
  using out = device.empty([m, n]);
  const fresh = async () => (await dispatcher.matmul({ a, b, transposeB: true }, { signal })).dispose();
  const kept = () => dispatcher.matmul({ a, b, transposeB: true, out }, { signal });
  yield {
    name: 'result kept',
    operations: [{ host: kept }],
    work: { bytes: 4 * (m * k + n * k + m * n), operations: 2 * m * n * k, launches: 1 },
    against: { name: 'new result', operations: [{ host: fresh }] },
  };
}

/** Weights of a file, as they are mapped and as they are copied. */
async function* weights(session: Session, bytes: number): AsyncGenerator<Unfinished, void, undefined> {
  const { device, seed, signal } = session;
  const format = getQuantFormat(FORMAT);
  const n = Math.max(1, Math.round(bytes / rowBytes(format, K)));
  const folder = await mkdtemp(join(tmpdir(), 'tilewright-bench-'));
  const path = join(folder, 'weights.gguf');
  try {
    const row = quantize(FORMAT, normals(seed, K, 1 / Math.sqrt(K)));
    const data = new Uint8Array(n * row.length);
    for (let i = 0; i < n; i++) data.set(row, i * row.length);
    await writeGGUF(path, { tensors: [{ name: NAME, dtype: FORMAT, shape: [n, K], data }] });

    using dispatcher = new MatmulDispatcher(device, { precision: 'fast' });
    using a = device.tensor(normals(seed + 1, K), { shape: [1, K] });
    using out = device.empty([1, n]);
    using model = await loadGGUF(path, { device });
    using mapped = model.tensor(NAME);
    using copied = device.quantized(data, { format: FORMAT, shape: [n, K] });
    const work = { bytes: data.length + 4 * (K + n), operations: 2 * n * K, launches: 1 };
    yield {
      name: 'matmul, mapped weights',
      operations: [matmulOperation(dispatcher, { a, b: mapped, out }, signal)],
      work,
      against: { name: 'copied weights', operations: [matmulOperation(dispatcher, { a, b: copied, out }, signal)] },
    };
    const loadMapped = async () => {
      using fresh = await loadGGUF(path, { device, signal });
      using b = fresh.tensor(NAME);
      await dispatcher.matmul({ a, b, out }, { signal });
    };
    const loadCopied = async () => {
      using fresh = await loadGGUF(path, { device, signal });
      using source = fresh.tensor(NAME);
      const content = new Uint8Array(source.buffer.byteLength);
      source.buffer.read(content);
      using b = device.quantized(content, { format: FORMAT, shape: [n, K] });
      await dispatcher.matmul({ a, b, out }, { signal });
    };
    yield {
      name: 'open, map and multiply',
      operations: [{ host: loadMapped }],
      work,
      against: { name: 'open, copy and multiply', operations: [{ host: loadCopied }] },
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const memorySuite: Suite<MemorySuiteOptions, MemoryFields> = {
  name: 'memory',
  cases,
  columns: [
    { header: 'what', cell: ({ what }) => what },
    { header: 'size', align: 'right', cell: (result) => size(result.size) },
    { header: 'grown', align: 'right', cell: ({ grownBytes }) => size(Math.max(0, grownBytes)) },
    { header: 'peak', align: 'right', cell: ({ peakBytes }) => size(peakBytes) },
  ],
};
