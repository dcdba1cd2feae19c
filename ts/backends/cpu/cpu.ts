import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Backend, BackendMapping, BackendMemory, BackendRun, Capabilities } from '../../device/backend.ts';
import type { Launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import { KERNELS } from '../../kernels/catalogue.ts';
import {
  loadNative,
  type NativeAddon,
  type NativeBuffer,
  type NativeEngine,
  type NativeMapping,
  nativeCall,
} from '../native.ts';
import { NativeMemory } from '../native-memory.ts';
import { cpuElementwise } from './elementwise.ts';
import { encodeLaunches } from './encode.ts';

export interface CpuOptions {
  /** Worker threads, 1 to 1024. Defaults to the cores that this process may use. */
  readonly threads?: number | undefined;
  /** Bind each worker to a core (Linux). Defaults to true. */
  readonly pin?: boolean | undefined;
  /** Instruction set, for tests and comparisons; defaults to the best that this machine runs. */
  readonly isa?: string | undefined;
}

class CpuMapping implements BackendMapping {
  readonly #native: NativeMapping;
  readonly byteLength: number;

  constructor(native: NativeMapping) {
    this.#native = native;
    this.byteLength = native.byteLength;
  }
  range(offset: number, length: number): BackendMemory {
    return new NativeMemory(
      nativeCall(() => this.#native.range(offset, length)),
      true,
    );
  }
  release(): void {
    this.#native.release();
  }
}

/** Runs command lists on the package's own pool of worker threads. */
export class CpuBackend implements Backend {
  readonly capabilities: Capabilities;
  readonly elementwise = cpuElementwise;
  readonly #addon: NativeAddon;
  readonly #engine: NativeEngine;

  constructor(options: CpuOptions = {}) {
    const threads = options.threads ?? availableParallelism();
    if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
      throw new TilewrightError(
        'ERR_INVALID_ARGUMENT',
        `threads must be a whole number from 1 to 1024, not ${threads}.`,
      );
    }
    this.#addon = loadNative();
    this.#engine = nativeCall(() => new this.#addon.NativeEngine(options.isa ?? '', threads, options.pin ?? true));
    this.capabilities = Object.freeze({
      backend: 'cpu',
      deviceName: cpus()[0]?.model.trim() || process.arch,
      architecture: this.#engine.isa,
      computeUnits: threads,
      memoryBytes: totalmem(),
      int8Dot: ['avx512', 'avxvnni', 'dotprod', 'i8mm'].includes(this.#engine.isa),
      kernels: new Set(KERNELS.map((kernel) => kernel.name)),
    } as const);
  }

  allocate(byteLength: number): BackendMemory {
    return new NativeMemory(
      nativeCall(() => this.#addon.allocate(byteLength)),
      false,
    );
  }

  map(path: string): BackendMapping {
    try {
      return new CpuMapping(nativeCall(() => new this.#addon.NativeMapping(path)));
    } catch (error) {
      throw new TilewrightError('ERR_FILE', `Cannot map ${path}: ${(error as Error).message}.`, {
        details: { path },
        cause: error,
      });
    }
  }

  run(launches: readonly Launch[], { timed }: { readonly timed: boolean }): BackendRun {
    const { bytes, memory } = encodeLaunches(launches);
    const buffers = memory.map((owner) => (owner as NativeMemory<NativeBuffer>).native);
    let id = 0;
    const done: BackendRun['done'] = new Promise((resolve, reject) => {
      id = nativeCall(() =>
        this.#engine.submit(bytes, buffers, timed, (status, message, begin, end, times) => {
          switch (status) {
            case 'done':
            case 'cancelled':
              resolve({
                cancelled: status === 'cancelled',
                total: { begin, end },
                times: times === null ? null : pairs(times),
              });
              return;
            case 'out of memory':
              reject(
                new TilewrightError('ERR_OUT_OF_MEMORY', 'The kernels could not get memory for their working space.'),
              );
              return;
            case 'file changed':
              reject(
                new TilewrightError('ERR_FILE', 'A mapped file became shorter while it was in use; load it again.'),
              );
              return;
            case 'failed':
              reject(new TilewrightError('ERR_NATIVE_FAILURE', `The command list failed: ${message}.`));
          }
        }),
      );
    });
    return { done, cancel: () => this.#engine.cancel(id) };
  }

  close(): void {
    this.#engine.close();
  }
}

function pairs(times: Float64Array) {
  const result = [];
  for (let i = 0; i + 1 < times.length; i += 2) result.push({ begin: times[i]!, end: times[i + 1]! });
  return result;
}
