import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeCacheFolder } from '#native-target';
import type { Backend, BackendMapping, BackendMemory, BackendRun, Capabilities } from '../../device/backend.ts';
import type { Binding, Launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import type { AnyKernel } from '../../kernels/declare.ts';
import { METAL_KERNELS } from '../../kernels/metal/catalogue.ts';
import { isMetalKernel, SIMD } from '../../kernels/metal/declare.ts';
import { packageVersion } from '../native.ts';
import {
  bridgeCall,
  bridgeError,
  type MetalBridge,
  type MetalBridgeDevice,
  type MetalDeviceInfo,
  type OpenOptions,
  type SubmissionReport,
} from './bridge.ts';
import { metalElementwise } from './elementwise.ts';
import { encodeCommands } from './encode.ts';
import { loadBridge } from './load.ts';
import { MetalMapping, MetalMemory } from './memory.ts';
import { Pipelines } from './pipelines.ts';
import { LaunchCache, type Ready } from './prepared.ts';

export interface MetalOptions {
  /** Name or registry id of a device; the system's default device otherwise. */
  readonly device?: string | undefined;
  /** Folder for compiled pipelines, or null for none. Defaults to one in the user's cache folder. */
  readonly pipelineCache?: string | null | undefined;
  /** Milliseconds that one list may take; one that takes longer fails. The system has a limit of its own, too. */
  readonly timeoutMs?: number | undefined;
  /** The software device on Linux: what it claims to be, to try what other devices would get. */
  readonly software?: Partial<
    Pick<
      MetalDeviceInfo,
      'simdgroupMatrix' | 'bfloat' | 'coreCount' | 'families' | 'maxThreadgroupBytes' | 'maxThreadgroupThreads'
    >
  >;
}

/** A launch with the memory that it is bound to: the caller may let go of its buffers while it waits. */
interface Work extends Ready {
  readonly memory: readonly MetalMemory[];
}

/** Runs command lists through the Swift bridge. */
export class MetalBackend implements Backend {
  readonly capabilities: Capabilities;
  readonly elementwise = metalElementwise;
  readonly info: MetalDeviceInfo;
  readonly #device: MetalBridgeDevice;
  readonly #launches: LaunchCache;
  readonly #pipelines: Pipelines;
  /** The last run that waits for pipelines to be compiled: what comes later must not overtake it. */
  #waiting: Promise<unknown> | null = null;

  /** @param bridge  given by tests; the machine's otherwise. @throws ERR_BACKEND_UNAVAILABLE */
  constructor(options: MetalOptions = {}, bridge: MetalBridge = loadBridge()) {
    this.#device = bridgeCall(() => bridge.MetalDevice.open(JSON.stringify(openOptions(options))));
    this.info = JSON.parse(bridgeCall(() => this.#device.info())) as MetalDeviceInfo;
    this.capabilities = capabilitiesOf(this.info);
    this.#launches = new LaunchCache(this.info);
    this.#pipelines = new Pipelines(this.#device);
  }

  allocate(byteLength: number): BackendMemory {
    return new MetalMemory(bridgeCall(() => this.#device.allocate(byteLength)));
  }

  map(path: string): BackendMapping {
    try {
      return new MetalMapping(bridgeCall(() => this.#device.map(path)));
    } catch (error) {
      throw new TilewrightError('ERR_FILE', `Cannot map ${path}: ${(error as Error).message}`, {
        details: { path },
        cause: error,
      });
    }
  }

  compiles(kernel: AnyKernel): boolean {
    return isMetalKernel(kernel) && kernel.text !== undefined;
  }

  run(launches: readonly Launch[], { timed }: { readonly timed: boolean }): BackendRun {
    // Launches of empty problems do nothing; they keep their place among the times.
    const prepared = launches.map((launch) => this.#launches.prepare(launch));
    const work: Work[] = [];
    for (const ready of prepared) {
      if (ready !== null) work.push({ ...ready, memory: ready.buffers.map(({ binding }) => memoryOf(binding)) });
    }
    const shape = (report: SubmissionReport): Awaited<BackendRun['done']> => ({
      cancelled: report.cancelled,
      total: report.total,
      times: report.times === null ? null : withEmpty(prepared, report),
    });
    const pipelines = work.map((ready) => this.#pipeline(ready));
    if (this.#waiting === null && pipelines.every((pipeline) => typeof pipeline === 'number')) {
      const { done, cancel } = this.#submit(work, pipelines as number[], timed);
      return { done: done.then(shape), cancel };
    }
    return this.#runLater(work, pipelines, timed, shape);
  }

  #pipeline({ form, launch }: Ready): number | Promise<number> {
    if (form.pipeline !== null) return form.pipeline;
    const pipeline = this.#pipelines.find(launch);
    if (typeof pipeline === 'number') form.pipeline = pipeline;
    return pipeline;
  }

  /** Submit once the pipelines are there, after all runs before. */
  #runLater(
    work: readonly Work[],
    pipelines: readonly (number | Promise<number>)[],
    timed: boolean,
    shape: (report: SubmissionReport) => Awaited<BackendRun['done']>,
  ): BackendRun {
    const holds = new Set(work.flatMap(({ memory }) => memory));
    for (const memory of holds) memory.hold();
    let cancelled = false;
    let submitted: { done: Promise<SubmissionReport>; cancel(): void } | null = null;
    const before = this.#waiting ?? Promise.resolve();
    const start = async () => {
      try {
        await before;
        const ids = await Promise.all(pipelines);
        if (!cancelled) submitted = this.#submit(work, ids, timed);
      } finally {
        for (const memory of holds) memory.letGo();
      }
    };
    const started = start();
    // Whoever waits next goes on whatever became of this one.
    const waiting = started.catch(() => {});
    this.#waiting = waiting;
    void waiting.then(() => {
      if (this.#waiting === waiting) this.#waiting = null;
    });
    const done = started.then(async () => shape(submitted === null ? NOTHING_RAN : await submitted.done));
    return {
      done,
      cancel: () => {
        cancelled = true;
        submitted?.cancel();
      },
    };
  }

  #submit(work: readonly Work[], pipelines: readonly number[], timed: boolean) {
    if (work.length === 0) return { done: Promise.resolve({ ...NOTHING_RAN, cancelled: false }), cancel() {} };
    const buffers: MetalMemory[] = [];
    const places = new Map<MetalMemory, number>();
    const place = (memory: MetalMemory) => {
      let at = places.get(memory);
      if (at === undefined) {
        at = buffers.push(memory) - 1;
        places.set(memory, at);
      }
      return at;
    };
    const commands = encodeCommands(
      work.map(({ launch: { geometry, params, paramsIndex }, buffers: bound, memory }, i) => ({
        pipeline: pipelines[i]!,
        geometry,
        params,
        paramsIndex,
        buffers: bound.map(({ index, binding }, b) => ({
          index,
          memory: place(memory[b]!),
          byteOffset: binding.byteOffset,
        })),
      })),
    );
    const submission = bridgeCall(() =>
      this.#device.submit(
        commands,
        buffers.map(({ buffer }) => buffer),
        timed,
      ),
    );
    const done = submission.done.then(
      (report) => JSON.parse(report) as SubmissionReport,
      (error: unknown) => {
        throw bridgeError(error);
      },
    );
    return { done, cancel: () => bridgeCall(() => submission.cancel()) };
  }

  startCapture(path: string): void {
    bridgeCall(() => this.#device.startCapture(resolve(path)));
  }

  stopCapture(): void {
    bridgeCall(() => this.#device.stopCapture());
  }

  close(): void {
    bridgeCall(() => this.#device.close());
  }
}

const NOTHING_RAN: SubmissionReport = { cancelled: true, total: { begin: 0, end: 0 }, times: [] };

const memoryOf = (binding: Binding): MetalMemory => binding.buffer.memory as MetalMemory;

/** The times of the launches that ran, and of those that had nothing to do. */
function withEmpty(prepared: readonly (Ready | null)[], { total, times }: SubmissionReport) {
  let next = 0;
  let end = total.begin;
  return prepared.map((launch) => {
    const time = launch === null ? undefined : times![next++];
    if (time === undefined) return { begin: end, end };
    end = time.end;
    return time;
  });
}

/**
 * The compiler of the software device is the package's own test bed, in a process apart. From the sources it takes 0.4 s
 * to start, compiled 0.1 s: a run of many tests names the compiled one.
 */
function compilerCommand(): string[] {
  const compiled = process.env.TILEWRIGHT_COMPILE_SERVICE;
  if (compiled) return [process.execPath, compiled];
  const here = fileURLToPath(import.meta.url);
  const program = here.replace(/backends[\\/]metal[\\/]metal\.(ts|js)$/, join('testbed', 'compile-service.$1'));
  return program.endsWith('.ts') ? [process.execPath, '--import', 'tsx', program] : [process.execPath, program];
}

function openOptions({ device, pipelineCache, timeoutMs, software }: MetalOptions): OpenOptions {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  const own = nativeCacheFolder(packageVersion);
  const cacheFolder = pipelineCache === undefined ? (own === null ? null : join(own, 'metal')) : pipelineCache;
  return {
    ...(device !== undefined && { device }),
    ...(cacheFolder !== null && { cacheFolder }),
    ...limit,
    ...(process.platform !== 'darwin' && {
      software: { compiler: compilerCommand(), ...limit, ...(software && { capabilities: software }) },
    }),
  };
}

function capabilitiesOf(info: MetalDeviceInfo): Capabilities {
  // The newest Apple family names the generation: apple7 is that of the M1, apple9 that of the M3.
  const generations = info.families.flatMap((family) => /^apple(\d+)$/.exec(family)?.[1] ?? []).map(Number);
  return Object.freeze({
    backend: 'metal',
    deviceName: info.name,
    architecture: generations.length > 0 ? `apple${Math.max(...generations)}` : info.architecture,
    computeUnits: info.coreCount,
    memoryBytes: info.workingSetBytes,
    int8Dot: false,
    kernels: new Set([...METAL_KERNELS.map((kernel) => kernel.name), 'host_reference']),
    waveSize: SIMD,
    maxThreadgroupBytes: info.maxThreadgroupBytes,
    maxThreadgroupThreads: info.maxThreadgroupThreads,
    simdgroupMatrix: info.simdgroupMatrix,
    bfloat: info.bfloat,
    unifiedMemory: info.unifiedMemory,
  } as const);
}
