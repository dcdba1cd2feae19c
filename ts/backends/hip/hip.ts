import type {
  Backend,
  BackendMapping,
  BackendMemory,
  BackendRecording,
  BackendRun,
  Capabilities,
} from '../../device/backend.ts';
import type { Launch } from '../../device/command-list.ts';
import { TilewrightError } from '../../errors.ts';
import { HIP_KERNELS } from '../../kernels/hip/catalogue.ts';
import {
  loadNative,
  type NativeAddon,
  type NativeGpu,
  type NativeGpuDone,
  type NativeGpuInfo,
  nativeCall,
  nativeError,
} from '../native.ts';
import { NativeMemory } from '../native-memory.ts';
import { hipElementwise } from './elementwise.ts';
import { encodeLaunches, type ReadyLaunch } from './encode.ts';
import { HipFunctions } from './functions.ts';
import { HipMapping, type HipMemory } from './mapping.ts';
import { type CodeObjects, ObjectFolder, targetFor } from './objects.ts';
import { checkOptions, type HipOptions } from './options.ts';
import { type HipLimits, type PreparedLaunch, prepareLaunch } from './prepare.ts';

/** Where a device is, as native code takes it. */
function placeOf({ driver = process.env.TILEWRIGHT_GPU_DRIVER, device = 0 }: HipOptions) {
  return { libraries: driver ? [driver] : [], device };
}

/** A driver that fails at once is none to work with, whatever it says. */
function unavailable(error: unknown): unknown {
  if (!(error instanceof TilewrightError) || error.code === 'ERR_BACKEND_UNAVAILABLE') return error;
  const { message, details } = error;
  return new TilewrightError('ERR_BACKEND_UNAVAILABLE', `The GPU cannot be opened: ${message}`, {
    details,
    cause: error,
  });
}

/** @throws ERR_BACKEND_UNAVAILABLE where there are no code objects for a GPU */
function findTarget({ name, architecture }: NativeGpuInfo, { targets }: CodeObjects): string {
  const target = targetFor(architecture, targets);
  if (target !== null) return target;
  throw new TilewrightError(
    'ERR_BACKEND_UNAVAILABLE',
    `${name} is a ${architecture}, and there are no code objects for that; there are some for: ` +
      `${targets.join(', ') || 'nothing'}.`,
    { details: { device: name, wanted: architecture, targets } },
  );
}

type Start = (timed: boolean, done: NativeGpuDone) => number;

/** Runs command lists on a GPU, through AMD's driver or NVIDIA's. */
export class HipBackend implements Backend {
  readonly capabilities: Capabilities;
  readonly elementwise = hipElementwise;
  /** What the driver tells of the device. */
  readonly info: NativeGpuInfo;
  /** Whose code objects the device runs: its architecture, or an older one that it is compatible with. */
  readonly target: string;
  readonly #addon: NativeAddon;
  readonly #gpu: NativeGpu;
  /** A profiler wants to know what launches are called. */
  readonly #profiled: boolean;
  readonly #functions: HipFunctions;
  readonly #limits: HipLimits;
  /** Command lists that wait for code objects to be loaded; later ones must not overtake them. */
  #loading: Promise<unknown> | null = null;

  /** As the constructor, without holding JavaScript up while the driver starts. */
  static async open(options: HipOptions = {}): Promise<HipBackend> {
    checkOptions(options);
    const { libraries, device } = placeOf(options);
    const addon = loadNative();
    let held: unknown;
    try {
      held = await addon.reachGpu(libraries, device);
    } catch (error) {
      throw unavailable(nativeError(error));
    }
    const backend = new HipBackend(options);
    void held; // until here
    return backend;
  }

  /** @throws ERR_BACKEND_UNAVAILABLE with what was looked for; ERR_NATIVE_MISSING, ERR_INVALID_ARGUMENT */
  constructor(options: HipOptions = {}) {
    checkOptions(options);
    const { libraries, device } = placeOf(options);
    this.#addon = loadNative();
    try {
      this.#gpu = nativeCall(() => new this.#addon.NativeGpu(libraries, device, options.timeoutSeconds ?? 120));
    } catch (error) {
      throw unavailable(error);
    }
    this.#profiled = this.#gpu.profiled();
    let objects: CodeObjects;
    try {
      this.info = JSON.parse(this.#gpu.info()) as NativeGpuInfo;
      objects = options.objects ?? ObjectFolder.ofPackage();
      this.target = findTarget(this.info, objects);
    } catch (error) {
      this.#gpu.close();
      throw error;
    }
    const { info, target } = this;
    this.#functions = new HipFunctions(this.#gpu, objects, target);
    this.#limits = { maxThreads: info.maxThreads, ldsBytes: info.ldsBytes };
    this.capabilities = Object.freeze({
      backend: 'hip',
      deviceName: info.name,
      architecture: info.architecture,
      computeUnits: info.computeUnits,
      memoryBytes: info.memoryBytes,
      // Every architecture that there are targets for has V_DOT4 or DP4A.
      int8Dot: true,
      kernels: new Set([
        'host_reference',
        ...[...HIP_KERNELS, ...(objects.kernels ?? [])].flatMap((kernel) =>
          objects.has(kernel, target) ? [kernel.name] : [],
        ),
      ]),
      waveSize: info.waveSize,
      maxThreadgroupBytes: info.ldsBytes,
      maxThreadgroupThreads: info.maxThreads,
      driver: `${info.api} ${info.driverVersion}`,
      unifiedMemory: false,
    } as const);
  }

  allocate(byteLength: number): BackendMemory {
    return new NativeMemory(
      nativeCall(() => this.#gpu.allocate(byteLength)),
      false,
    );
  }

  map(path: string): BackendMapping {
    try {
      return new HipMapping(
        this.#gpu,
        nativeCall(() => new this.#addon.NativeMapping(path)),
      );
    } catch (error) {
      throw new TilewrightError('ERR_FILE', `Cannot map ${path}: ${(error as Error).message}.`, {
        details: { path },
        cause: error,
      });
    }
  }

  run(launches: readonly Launch[], { timed }: { readonly timed: boolean }): BackendRun {
    const prepared = this.#prepare(launches);
    return this.#start(prepared, timed, () => {
      const { bytes, buffers, labels } = this.#encode(prepared);
      return (timed, done) => this.#gpu.submit(bytes, buffers, timed, done, labels);
    });
  }

  record(launches: readonly Launch[]): BackendRecording {
    const prepared = this.#prepare(launches);
    let native: ReturnType<NativeGpu['record']> | null = null;
    return {
      run: ({ timed }) =>
        this.#start(prepared, timed, () => {
          if (native === null) {
            const { bytes, buffers, labels } = this.#encode(prepared);
            native = nativeCall(() => this.#gpu.record(bytes, buffers, labels));
          }
          const recording = native;
          return (timed, done) => this.#gpu.replay(recording, timed, done);
        }),
      release: () => native?.release(),
    };
  }

  /** In order; launches of empty problems are left out, but keep their place for timings. */
  #prepare(launches: readonly Launch[]): readonly (readonly [Launch, PreparedLaunch | null])[] {
    return launches.map((launch) => [launch, prepareLaunch(launch, this.#limits)] as const);
  }

  #encode(prepared: readonly (readonly [Launch, PreparedLaunch | null])[]) {
    const ready = this.#ready(prepared);
    const { bytes, memory } = encodeLaunches(ready);
    const buffers = memory.map((owner) => (owner as HipMemory).native);
    return { bytes, buffers, labels: this.#profiled ? ready.map(({ launch }) => launch.label) : [] };
  }

  #ready(prepared: readonly (readonly [Launch, PreparedLaunch | null])[]): ReadyLaunch[] {
    return prepared.flatMap(([launch, own]) =>
      own === null ? [] : [{ launch, prepared: own, function: this.#functions.of(own)! }],
    );
  }

  #start(
    prepared: readonly (readonly [Launch, PreparedLaunch | null])[],
    timed: boolean,
    encode: () => Start,
  ): BackendRun {
    const missing = prepared.flatMap(([, own]) => (own !== null && this.#functions.of(own) === undefined ? [own] : []));
    let cancelled = false;
    let id: number | null = null;
    const go = (): BackendRun['done'] => {
      if (cancelled) return Promise.resolve({ cancelled: true, total: { begin: 0, end: 0 }, times: null });
      return new Promise((resolve, reject) => {
        const start = encode();
        id = nativeCall(() =>
          start(timed, (wasCancelled, error, begin, end, times) => {
            if (error !== null) reject(nativeError(error));
            else
              resolve({
                cancelled: wasCancelled,
                total: { begin, end },
                times: times === null ? null : spread(prepared, times, begin),
              });
          }),
        );
      });
    };
    let done: BackendRun['done'];
    if (missing.length === 0 && this.#loading === null) {
      done = go();
    } else {
      // Work that was submitted keeps its memory, whatever the caller disposes of meanwhile.
      const held = prepared.flatMap(([{ bindings }]) =>
        bindings.flatMap((b) => (b === null ? [] : [b.buffer.retain()])),
      );
      const ready = (this.#loading ?? Promise.resolve()).then(() => this.#functions.load(missing));
      // Whoever comes next waits for the loading, whether or not it went well, and not for the work itself.
      const settled: Promise<void> = ready.then(
        () => {},
        () => {},
      );
      // `go` is called before those that wait behind it.
      done = ready.then(go);
      const letGo = () => {
        for (const buffer of held) buffer.dispose();
      };
      done.then(letGo, letGo);
      this.#loading = settled;
      settled.then(() => {
        if (this.#loading === settled) this.#loading = null;
      });
    }
    return {
      done,
      cancel: () => {
        cancelled = true;
        if (id !== null) this.#gpu.cancel(id);
      },
    };
  }

  close(): void {
    this.#gpu.close();
  }
}

/** Times per launch: those that were left out took none. */
function spread(prepared: readonly (readonly [Launch, PreparedLaunch | null])[], times: Float64Array, begin: number) {
  let at = 0;
  let last = begin;
  return prepared.map(([, own]) => {
    if (own === null) return { begin: last, end: last };
    const time = { begin: times[at]!, end: times[at + 1]! };
    at += 2;
    last = time.end;
    return time;
  });
}
