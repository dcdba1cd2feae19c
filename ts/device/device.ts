import { TilewrightError } from '../errors.ts';
import { DTYPES, type DType, isDType } from '../tensor/dtype.ts';
import { f32ToBf16, f32ToF16 } from '../tensor/half.ts';
import { checkShape, elementCount, Layout, type Shape } from '../tensor/layout.ts';
import { getQuantFormat, rowBytes } from '../tensor/quant-format.ts';
import type { Backend, BackendMapping, BackendRun, Capabilities, LoadOptions } from './backend.ts';
import { DeviceBuffer } from './buffer.ts';
import type { Command, CommandList, HostStep, Launch } from './command-list.ts';
import type { ElementwiseCatalogue } from './elementwise.ts';
import { RecordedList } from './recording.ts';
import { type CommandTiming, Submission, type SubmissionResult } from './submission.ts';
import { QuantizedTensor, Tensor } from './tensor.ts';
import type { DeviceWatcher, Span } from './watch.ts';

/** Typed arrays that a tensor can be made from. `Uint16Array` holds the bits of f16 or bf16 elements. */
export type TensorData = Float32Array | Float64Array | Int8Array | Int32Array | Uint16Array | Uint8Array;

export interface SubmitOptions {
  /** Stops the work between commands and, on the CPU, between tiles; the submission rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Time every command. Defaults to false. */
  readonly timings?: boolean | undefined;
}

/** A place where kernels run. Open one with `openDevice()`. */
export class Device implements AsyncDisposable {
  readonly #backend: Backend;
  #inFlight: Promise<unknown> = Promise.resolve();
  /** The last submission with host steps: what comes later must not overtake it. */
  #hostSteps: Submission | null = null;
  #closing: Promise<void> | null = null;
  #inStep = false;
  readonly #watchers = new Set<DeviceWatcher>();

  /** Back ends call this; users call `openDevice()`. */
  constructor(backend: Backend) {
    this.#backend = backend;
  }

  get backend(): Capabilities['backend'] {
    return this.#backend.capabilities.backend;
  }
  get capabilities(): Capabilities {
    return this.#backend.capabilities;
  }
  /** How copies, softmax and dequantization become launches here; use the functions of the package instead. */
  get elementwise(): ElementwiseCatalogue {
    return this.#backend.elementwise;
  }
  get disposed(): boolean {
    return this.#closing !== null;
  }

  #live(): Backend {
    if (this.#closing !== null && !this.#inStep)
      throw new TilewrightError('ERR_DISPOSED', 'This device was disposed; open another.');
    return this.#backend;
  }

  /** Zero-filled memory. @throws ERR_OUT_OF_MEMORY */
  buffer(byteLength: number): DeviceBuffer {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new TilewrightError('ERR_INVALID_ARGUMENT', `A buffer cannot have ${byteLength} bytes.`);
    }
    return new DeviceBuffer(this, this.#live().allocate(byteLength));
  }

  /** Map a file, without reading it. The caller releases the mapping; buffers made from it stay valid. */
  map(path: string): BackendMapping {
    return this.#live().map(path);
  }
  /** A read-only buffer on part of a mapped file. */
  mappedBuffer(mapping: BackendMapping, byteOffset: number, byteLength: number): DeviceBuffer {
    this.#live();
    return new DeviceBuffer(this, mapping.range(byteOffset, byteLength));
  }

  /**
   * As {@link mappedBuffer}, without holding JavaScript up: what has to be copied to the device is copied on another
   * thread.
   */
  async loadMapped(
    mapping: BackendMapping,
    byteOffset: number,
    byteLength: number,
    options: LoadOptions = {},
  ): Promise<DeviceBuffer> {
    this.#live();
    options.signal?.throwIfAborted();
    if (mapping.load === undefined) {
      const buffer = this.mappedBuffer(mapping, byteOffset, byteLength);
      options.onBytes?.(byteLength);
      return buffer;
    }
    const loading = mapping.load(byteOffset, byteLength, options);
    // Work in flight, for which closing the device waits.
    this.#inFlight = Promise.allSettled([this.#inFlight, loading]);
    return new DeviceBuffer(this, await loading);
  }

  /** A tensor of zeros, row-major. */
  empty(shape: Shape, options: { readonly dtype?: DType | undefined } = {}): Tensor {
    const dtype = checkDType(options.dtype ?? 'f32');
    const layout = new Layout(shape);
    return new Tensor(this.buffer(layout.size * DTYPES[dtype].bytes), dtype, layout);
  }

  /**
   * A row-major tensor with a copy of `data`.
   * @param options.dtype  defaults by the array: Float32Array and Float64Array f32, Int8Array i8, Int32Array i32,
   * Uint16Array f16. A float array given for f16 or bf16 is converted (round to nearest even).
   */
  tensor(data: TensorData | readonly number[], options: { readonly shape: Shape; readonly dtype?: DType }): Tensor {
    checkShape(options.shape);
    const source = Array.isArray(data) ? Float32Array.from(data as readonly number[]) : (data as TensorData);
    const dtype = checkDType(options.dtype ?? defaultDType(source));
    const count = elementCount(options.shape);
    const elements = source instanceof Uint8Array ? source.byteLength / DTYPES[dtype].bytes : source.length;
    if (elements !== count) {
      throw new TilewrightError(
        'ERR_SHAPE_MISMATCH',
        `Shape [${options.shape.join(', ')}] has ${count} elements, but the data have ${elements}.`,
        { details: { shape: options.shape, elements } },
      );
    }
    const bytes = elementBytes(source, dtype);
    const buffer = this.buffer(bytes.byteLength);
    buffer.write(bytes);
    return new Tensor(buffer, dtype, new Layout(options.shape));
  }

  /**
   * Weights in a block-quantized format, with a copy of `bytes`.
   * @param options.shape  [..., n, k]; k is a whole number of the format's blocks.
   * @throws ERR_FORMAT_UNKNOWN, ERR_SHAPE_MISMATCH
   */
  quantized(bytes: Uint8Array, options: { readonly format: string; readonly shape: Shape }): QuantizedTensor {
    const buffer = this.#quantizedBuffer(bytes, options);
    return this.quantizedView(buffer, 0, options);
  }

  #quantizedBuffer(bytes: Uint8Array, options: { readonly format: string; readonly shape: Shape }): DeviceBuffer {
    const expected = quantizedBytes(options.format, options.shape);
    if (bytes.byteLength !== expected) {
      throw new TilewrightError(
        'ERR_SHAPE_MISMATCH',
        `${options.format} weights of shape [${options.shape.join(', ')}] take ${expected} bytes, but got ${bytes.byteLength}.`,
        { details: { format: options.format, shape: options.shape, expected, got: bytes.byteLength } },
      );
    }
    const buffer = this.buffer(bytes.byteLength);
    buffer.write(bytes);
    return buffer;
  }

  /** Weights that already lie in a buffer (a mapped file); takes over the caller's hold of it. */
  quantizedView(
    buffer: DeviceBuffer,
    byteOffset: number,
    options: { readonly format: string; readonly shape: Shape },
  ): QuantizedTensor {
    quantizedBytes(options.format, options.shape);
    const format = getQuantFormat(options.format);
    const outer = options.shape.slice(0, -1);
    const bytes = rowBytes(format, options.shape.at(-1)!);
    const strides = new Layout(outer).strides.map((stride) => stride * bytes);
    return new QuantizedTensor(buffer, format, options.shape, new Layout(outer, strides, byteOffset));
  }

  /**
   * Run commands in order, after everything submitted before. Returns at once; the event loop is never blocked.
   * @returns a handle to await, with times if `timings` is set.
   */
  submit(list: CommandList | readonly Command[], options: SubmitOptions = {}): Submission {
    const begin = this.#watchers.size > 0 ? performance.now() : 0;
    const backend = this.#live();
    const commands = 'commands' in list ? list.commands : list;
    for (const command of commands) this.#check(command);
    const hasHostSteps = commands.some((command) => command.type === 'host');
    return this.#enqueue((seen) => this.#run(backend, commands, seen), options, { commands, hasHostSteps, begin });
  }

  /**
   * Keep a list for running it many times with the same buffers and parameters.
   * @throws ERR_INVALID_ARGUMENT for a list with host steps (plug-in kernels), which cannot be recorded.
   */
  record(list: CommandList | readonly Command[]): RecordedList {
    const backend = this.#live();
    const launches = ('commands' in list ? list.commands : list).map((command) => {
      this.#check(command);
      if (command.type === 'kernel') return command;
      throw new TilewrightError(
        'ERR_INVALID_ARGUMENT',
        `"${command.label}" runs on the JavaScript thread, so it cannot be recorded. Submit the list instead.`,
      );
    });
    const recording = backend.record?.(launches);
    const run = (timed: boolean) => recording?.run({ timed }) ?? backend.run(launches, { timed });
    return new RecordedList(launches, {
      submit: (options) => {
        const begin = this.#watchers.size > 0 ? performance.now() : 0;
        this.#live();
        const call = { commands: launches, hasHostSteps: false, begin };
        return this.#enqueue((seen) => runLaunches(run, launches, seen), options, call);
      },
      release: () => recording?.release(),
    });
  }

  /**
   * Be told of what happens from now on, as it happens. While somebody is told of submissions, all commands are timed.
   * @returns a function that ends it.
   */
  watch(watcher: DeviceWatcher): () => void {
    const own = { ...watcher };
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  /** Run `make`, which makes commands; watchers are told how long it took. */
  encoding<T>(name: string, make: () => T): T {
    if (this.#watchers.size === 0) return make();
    const begin = performance.now();
    try {
      return make();
    } finally {
      this.tell({ name, kind: 'encode', begin, end: performance.now() });
    }
  }

  /** Tell watchers of a span. */
  tell(span: Span): void {
    for (const watcher of this.#watchers) watcher.span?.(span);
  }

  #enqueue(
    run: (options: SubmitOptions) => Promise<SubmissionResult>,
    options: SubmitOptions,
    call: { readonly commands: readonly Command[]; readonly hasHostSteps: boolean; readonly begin: number },
  ): Submission {
    options.signal?.throwIfAborted();
    const { commands, hasHostSteps, begin } = call;
    const told = [...this.#watchers].filter(({ submitted }) => submitted !== undefined);
    const seen = told.length > 0 ? { ...options, timings: true } : options;
    const start = () => run(seen);
    const previous = this.#inFlight;
    // The back end keeps its own queue in order; only host steps, which run here, have to be waited for.
    const wait = hasHostSteps || (this.#hostSteps !== null && !this.#hostSteps.settled);
    const submission = new Submission(wait ? previous.then(start) : start());
    if (hasHostSteps) this.#hostSteps = submission;
    this.#inFlight = Promise.allSettled([previous, submission.done]);
    if (told.length === 0) return submission;
    const made = { commands, begin, end: performance.now() };
    for (const { submitted } of told) submitted?.(submission, made);
    return submission;
  }

  /** Consecutive launches go to the back end in one piece; host steps run between, and what they make in their place. */
  async #run(backend: Backend, commands: readonly Command[], options: SubmitOptions): Promise<SubmissionResult> {
    let totalMs = 0;
    const timings: CommandTiming[] = [];
    for (let at = 0; at < commands.length; ) {
      options.signal?.throwIfAborted();
      const command = commands[at]!;
      if (command.type === 'host') {
        const begin = performance.now();
        using made = (await this.#step(command)) ?? null;
        let ms = performance.now() - begin;
        if (made !== null) {
          for (const own of made.commands) this.#check(own);
          ms += (await this.#run(backend, made.commands, options)).totalMs;
        }
        totalMs += ms;
        if (options.timings) timings.push({ label: command.label, ms, begin, clock: 'host' });
        at++;
        continue;
      }
      let end = at;
      while (end < commands.length && commands[end]!.type === 'kernel') end++;
      const launches = commands.slice(at, end) as Launch[];
      const result = await runLaunches((timed) => backend.run(launches, { timed }), launches, options);
      totalMs += result.totalMs;
      timings.push(...result.timings);
      at = end;
    }
    return { totalMs, timings };
  }

  /** Host steps are work in flight: they may allocate on a device that is being disposed. */
  #step(step: HostStep) {
    this.#inStep = true;
    try {
      return step.run();
    } finally {
      this.#inStep = false;
    }
  }

  #check(command: Command): void {
    if (command.type === 'host') return;
    for (const binding of command.bindings) {
      if (binding === null) continue;
      void binding.buffer.memory;
      if (binding.buffer.device !== this) {
        throw new TilewrightError(
          'ERR_WRONG_DEVICE',
          `A buffer of "${command.label}" belongs to another device. Create it on the device that runs the work.`,
          { details: { label: command.label } },
        );
      }
    }
    if (!this.capabilities.kernels.has(command.kernel.name) && this.#backend.compiles?.(command.kernel) !== true) {
      throw new TilewrightError(
        'ERR_KERNEL_UNKNOWN',
        `The ${this.backend} back end has no kernel "${command.kernel.name}".`,
        { details: { kernel: command.kernel.name, backend: this.backend } },
      );
    }
  }

  /** Resolves when everything submitted so far has ended, well or badly. */
  async idle(): Promise<void> {
    await this.#inFlight;
  }

  /** Whether {@link capture} works on this back end. */
  get captures(): boolean {
    return this.#backend.startCapture !== undefined;
  }

  /**
   * Record what `work` submits into a document for the vendor's debugger: on Metal a `.gputrace`, which Xcode opens. The
   * process has to be started with METAL_CAPTURE_ENABLED=1, and nothing may be at `path` yet.
   * @throws ERR_BACKEND_UNAVAILABLE where the back end has no captures, or the process may not be captured; ERR_FILE
   */
  async capture<T>(path: string, work: () => T | Promise<T>): Promise<T> {
    const backend = this.#live();
    if (backend.startCapture === undefined) {
      throw new TilewrightError(
        'ERR_BACKEND_UNAVAILABLE',
        `The ${this.backend} back end has no captures; docs/profiling.md names the profilers that serve there.`,
      );
    }
    await this.idle();
    backend.startCapture(path);
    try {
      return await work();
    } finally {
      await this.idle();
      backend.stopCapture?.();
    }
  }

  /** Wait for work in flight, then free everything. Buffers and tensors of this device are of no use afterwards. */
  dispose(): Promise<void> {
    this.#closing ??= this.idle().then(() => this.#backend.close());
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

async function runLaunches(
  start: (timed: boolean) => BackendRun,
  launches: readonly Launch[],
  { signal, timings = false }: SubmitOptions,
): Promise<SubmissionResult> {
  const run = start(timings);
  const abort = () => run.cancel();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const { cancelled, total, times } = await run.done;
    if (cancelled) {
      signal?.throwIfAborted();
      throw new TilewrightError('ERR_DISPOSED', 'The device was disposed while this work was waiting.');
    }
    return {
      totalMs: total.end - total.begin,
      timings: (times ?? []).map(({ begin, end }, i) => {
        return { label: launches[i]!.label, ms: end - begin, begin, clock: 'device' };
      }),
    };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function checkDType(dtype: string): DType {
  if (isDType(dtype)) return dtype;
  throw new TilewrightError(
    'ERR_DTYPE_UNSUPPORTED',
    `"${dtype}" is no element type. Known: ${Object.keys(DTYPES).join(', ')}; block formats go through quantized().`,
    { details: { dtype } },
  );
}

function defaultDType(data: TensorData): DType {
  if (data instanceof Int8Array) return 'i8';
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Uint16Array) return 'f16';
  return 'f32';
}

/** The bytes of a tensor's elements: taken as they are where the array holds them already, else converted. */
function elementBytes(data: TensorData, dtype: DType): Uint8Array {
  const raw = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (data instanceof Uint8Array) return raw(data);
  switch (dtype) {
    case 'f32':
      return raw(data instanceof Float32Array ? data : Float32Array.from(data));
    case 'i32':
      return raw(data instanceof Int32Array ? data : Int32Array.from(data));
    case 'i8':
      return raw(data instanceof Int8Array ? data : Int8Array.from(data));
    case 'f16':
      return raw(data instanceof Uint16Array ? data : Uint16Array.from(data, f32ToF16));
    case 'bf16':
      return raw(data instanceof Uint16Array ? data : Uint16Array.from(data, f32ToBf16));
  }
}

/** Bytes of quantized weights. @throws ERR_FORMAT_UNKNOWN, ERR_SHAPE_MISMATCH */
function quantizedBytes(format: string, shape: Shape): number {
  checkShape(shape);
  if (shape.length < 1) {
    throw new TilewrightError('ERR_SHAPE_MISMATCH', 'Quantized weights have at least one dimension.', {
      details: { shape },
    });
  }
  return elementCount(shape.slice(0, -1)) * rowBytes(getQuantFormat(format), shape.at(-1)!);
}
