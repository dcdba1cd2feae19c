// The GPU and the CPU side by side: the same weights on both, and what runs on one compared with the other.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CodeObjects, ObjectRequest } from '../../ts/backends/hip/objects.ts';
import type { Device, TensorData } from '../../ts/device/device.ts';
import type { QuantizedTensor, Tensor } from '../../ts/device/tensor.ts';
import type { Weights } from '../../ts/dispatch/args.ts';
import { type DispatcherOptions, MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { type TensorInput, writeGGUF } from '../../ts/gguf/index.ts';
import { loadGGUF } from '../../ts/ops/load-gguf.ts';

let seed = 1;
/** Values in -1 to 1, the same in every run. */
export const random = (count: number): Float32Array =>
  Float32Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 31 - 1;
  });

/** One of both devices, with everything on it that the comparisons use. */
export class Side {
  readonly device: Device;
  readonly #weights: ReadonlyMap<string, Weights>;

  constructor(device: Device, weights: ReadonlyMap<string, Weights>) {
    this.device = device;
    this.#weights = weights;
  }
  /** Weights of the file, by name. */
  weights(name: string): Weights {
    return this.#weights.get(name)!;
  }
  blocks(name: string): QuantizedTensor {
    return this.weights(name) as QuantizedTensor;
  }
  tensor(data: TensorData, ...shape: readonly number[]): Tensor {
    return this.device.tensor(data, { shape });
  }
  /** A dispatcher; `tuning` is the GPU's. */
  dispatcher(precision: 'fast' | 'exact', tuning: DispatcherOptions['tuning'] = 'default'): MatmulDispatcher {
    return new MatmulDispatcher(this.device, {
      precision,
      tuning: this.device.backend === 'hip' ? tuning : 'default',
    });
  }
}

export type Run = (side: Side) => Promise<Float32Array>;

/** Runs everything on both sides. */
export class Comparison {
  readonly #gpu: Side;
  readonly #cpu: Side;
  checks = 0;
  failures = 0;

  private constructor(gpu: Side, cpu: Side) {
    this.#gpu = gpu;
    this.#cpu = cpu;
  }

  /** `tensors` go to both devices through a file: mapped on the CPU, copied to the GPU on another thread. */
  static async open(gpu: Device, cpu: Device, tensors: readonly TensorInput[]): Promise<Comparison> {
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-exercise-'));
    try {
      const path = join(folder, 'weights.gguf');
      await writeGGUF(path, { tensors });
      const sides = [gpu, cpu].map(async (device) => {
        using model = await loadGGUF(path, { device });
        return new Side(device, await model.load());
      });
      return new Comparison(await sides[0]!, await sides[1]!);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  /** Both devices' results, within `tolerance` of the largest. */
  async compare(name: string, tolerance: number, run: Run): Promise<void> {
    this.checks++;
    try {
      const [got, wanted] = [await run(this.#gpu), await run(this.#cpu)];
      const largest = wanted.reduce((most, value) => (Math.abs(value) > most ? Math.abs(value) : most), 0);
      const worst = wanted.reduce((most, value, i) => {
        if (Object.is(value, got[i])) return most;
        const error = Math.abs(value - got[i]!);
        return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(most, error);
      }, 0);
      if (worst <= tolerance * largest && got.length === wanted.length) return;
      console.error(`${name}: ${worst} apart, of at most ${largest}`);
    } catch (error) {
      console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.failures++;
  }
}

/** Code objects that know which of their functions were asked for. */
export class Counted implements CodeObjects {
  readonly #own: CodeObjects;
  readonly used = new Set<string>();

  constructor(own: CodeObjects) {
    this.#own = own;
  }
  get targets(): readonly string[] {
    return this.#own.targets;
  }
  has(...args: Parameters<CodeObjects['has']>): boolean {
    return this.#own.has(...args);
  }
  find(request: ObjectRequest, target: string) {
    this.used.add(request.entry);
    return this.#own.find(request, target);
  }
}
