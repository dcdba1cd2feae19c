// The Metal bridge's interface over the test bed: commands are decoded and run by its executor, each launch in a process
// of its own. It gives the Metal back end's TypeScript a run wherever clang is; the Swift bridge has the same interface.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type {
  MetalBridge,
  MetalBridgeBuffer,
  MetalBridgeDevice,
  MetalBridgeMapping,
  MetalBridgeSubmission,
  MetalDeviceInfo,
  OpenOptions,
  SubmissionReport,
} from '../../ts/backends/metal/bridge.ts';
import { CONSTANT_TYPES } from '../../ts/kernels/metal/declare.ts';
import { formatFinding } from '../../ts/testbed/check.ts';
import type { CompiledModule } from '../../ts/testbed/compile.ts';
import { compileText } from '../../ts/testbed/compile-text.ts';
import { type BufferArgument, dispatch } from '../../ts/testbed/dispatch.ts';

const fail = (code: string, message: string, details: object = {}): never => {
  throw new Error(JSON.stringify({ code, message, details }));
};

class SoftBuffer implements MetalBridgeBuffer {
  bytes: Uint8Array;
  readonly readOnly: boolean;
  readonly byteLength: number;
  released = false;
  constructor(bytes: Uint8Array, readOnly = false) {
    this.bytes = bytes;
    this.byteLength = bytes.byteLength;
    this.readOnly = readOnly;
  }
  write(bytes: Uint8Array, offset: number): void {
    this.bytes.set(bytes, offset);
  }
  read(into: Uint8Array, offset: number): void {
    into.set(this.bytes.subarray(offset, offset + into.byteLength));
  }
  release(): void {
    this.released = true;
  }
}

class SoftMapping implements MetalBridgeMapping {
  readonly #file: number;
  readonly byteLength: number;
  constructor(path: string) {
    this.#file = openSync(path, 'r');
    const stat = fstatSync(this.#file);
    if (!stat.isFile()) fail('ERR_FILE', 'it is no file');
    this.byteLength = stat.size;
  }
  range(offset: number, length: number): MetalBridgeBuffer {
    const bytes = new Uint8Array(length);
    readSync(this.#file, bytes, 0, length, offset);
    return new SoftBuffer(bytes, true);
  }
  release(): void {
    closeSync(this.#file);
  }
}

interface Pipeline {
  readonly module: CompiledModule;
  readonly name: string;
  readonly constants: Readonly<Record<string, number | boolean>>;
}
interface Decoded {
  readonly pipeline: Pipeline;
  readonly grid: readonly [number, number, number];
  readonly group: readonly [number, number, number];
  readonly threadgroup: readonly number[];
  readonly buffers: readonly { index: number; buffer: SoftBuffer; offset: number }[];
  readonly params: { index: number; bytes: Uint8Array };
}

const INFO: MetalDeviceInfo = {
  name: 'Test bed',
  architecture: 'simt',
  families: ['apple7', 'metal3'],
  simdgroupMatrix: true,
  bfloat: true,
  coreCount: 8,
  workingSetBytes: 2 ** 30,
  maxThreadgroupBytes: 32768,
  maxThreadgroupThreads: 1024,
  maxBufferBytes: 2 ** 28,
  unifiedMemory: true,
  registryId: '1',
  os: process.platform,
  software: true,
};

class SoftDevice implements MetalBridgeDevice {
  readonly #info: MetalDeviceInfo;
  /** Processor seconds that a launch may take. */
  readonly #timeout: number;
  readonly #libraries: CompiledModule[] = [];
  readonly #pipelines: Pipeline[] = [];
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: OpenOptions) {
    if (options.device !== undefined) fail('ERR_BACKEND_UNAVAILABLE', `There is no device ${options.device}.`);
    this.#timeout = (options.timeoutMs ?? 20_000) / 1000;
    this.#info = { ...INFO, ...options.software?.capabilities };
  }
  info(): string {
    return JSON.stringify(this.#info);
  }
  allocate(byteLength: number): MetalBridgeBuffer {
    if (byteLength > this.#info.maxBufferBytes) {
      fail('ERR_OUT_OF_MEMORY', `${byteLength} bytes are more than a buffer may have.`, { byteLength });
    }
    return new SoftBuffer(new Uint8Array(byteLength));
  }
  map(path: string): MetalBridgeMapping {
    return new SoftMapping(path);
  }

  async library(source: string): Promise<number> {
    const module = await compileText(source, 'run');
    if (!('path' in module)) return fail('ERR_KERNEL_COMPILE', module.map(formatFinding).join('\n'));
    return this.#libraries.push(module) - 1;
  }

  async pipeline(library: number, name: string, constants: Uint8Array): Promise<number> {
    const module = this.#libraries[library]!;
    if (!module.signature.kernels.some((kernel) => kernel.name === name)) {
      fail('ERR_KERNEL_UNKNOWN', `The library has no function ${name}.`, { name });
    }
    const view = new DataView(constants.buffer, constants.byteOffset, constants.byteLength);
    const values: Record<string, number | boolean> = {};
    for (let at = 0; at < constants.byteLength; at += 12) {
      const [index, type] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
      if (!module.signature.constants.some(({ id }) => id === index)) continue;
      if (type === CONSTANT_TYPES.float) values[index] = view.getFloat32(at + 8, true);
      else if (type === CONSTANT_TYPES.int) values[index] = view.getInt32(at + 8, true);
      else values[index] = view.getUint32(at + 8, true);
    }
    return this.#pipelines.push({ module, name, constants: values }) - 1;
  }

  startCapture(): void {
    fail('ERR_BACKEND_UNAVAILABLE', 'The test bed has no captures.');
  }
  stopCapture(): void {}
  pipelineInfo(): string {
    return JSON.stringify({
      maxTotalThreadsPerThreadgroup: this.#info.maxThreadgroupThreads,
      threadExecutionWidth: 32,
      staticThreadgroupMemoryLength: 0,
    });
  }

  submit(commands: Uint8Array, buffers: readonly MetalBridgeBuffer[], timed: boolean): MetalBridgeSubmission {
    if (buffers.some((buffer) => (buffer as SoftBuffer).released)) fail('ERR_DISPOSED', 'A buffer was released.');
    const work = this.#decode(commands, buffers as readonly SoftBuffer[]);
    let cancelled = false;
    const done = this.#queue.then(async () => {
      const times: { begin: number; end: number }[] = [];
      const start = performance.now();
      for (const launch of work) {
        if (cancelled) break;
        const begin = performance.now();
        await run(launch, this.#timeout);
        times.push({ begin, end: performance.now() });
      }
      const report: SubmissionReport = {
        cancelled: cancelled && times.length < work.length,
        total: { begin: start, end: performance.now() },
        times: timed ? times : null,
      };
      return JSON.stringify(report);
    });
    this.#queue = done.catch(() => {});
    return {
      done,
      cancel: () => {
        cancelled = true;
      },
    };
  }

  #decode(commands: Uint8Array, list: readonly SoftBuffer[]): Decoded[] {
    const view = new DataView(commands.buffer, commands.byteOffset, commands.byteLength);
    let at = 0;
    const word = () => {
      const value = view.getUint32(at, true);
      at += 4;
      return value;
    };
    const words = (count: number) => Array.from({ length: count }, word);
    const result: Decoded[] = [];
    while (at < commands.byteLength) {
      const [pipeline, bufferCount, paramBytes, memoryCount] = words(4) as [number, number, number, number];
      const [grid, group] = [words(3), words(3)] as unknown as [Decoded['grid'], Decoded['group']];
      const threadgroup = words(memoryCount);
      const buffers = Array.from({ length: bufferCount }, () => {
        const [index, place, low, high] = words(4) as [number, number, number, number];
        return { index, buffer: list[place]!, offset: low + 2 ** 32 * high };
      });
      const index = word();
      const params = { index, bytes: commands.slice(at, at + paramBytes) };
      at += paramBytes;
      result.push({ pipeline: this.#pipelines[pipeline]!, grid, group, threadgroup, buffers, params });
    }
    return result;
  }

  close(): void {}
}

async function run({ pipeline, grid, group, threadgroup, buffers, params }: Decoded, timeout: number): Promise<void> {
  const arguments_: BufferArgument[] = buffers.map(({ index, buffer, offset }) => {
    const first = buffers.find((other) => other.buffer === buffer)!;
    const shared = first.index === index ? {} : { sameAs: first.index };
    return { index, data: buffer.bytes, offset, ...shared };
  });
  arguments_.push({ index: params.index, data: params.bytes });
  const { findings, buffers: written } = await dispatch(pipeline.module, {
    kernel: pipeline.name,
    grid,
    group,
    buffers: arguments_,
    constants: pipeline.constants,
    threadgroup,
    timeout,
  });
  const first = findings[0];
  if (first !== undefined) {
    const code = first.rule === 'launch' ? 'ERR_KERNEL_LAUNCH' : 'ERR_NATIVE_FAILURE';
    fail(code, findings.map(formatFinding).join('\n'), { rule: first.rule });
  }
  for (const { index, buffer } of buffers) {
    const bytes = written.get(index);
    if (bytes !== undefined) buffer.bytes.set(bytes);
  }
}

export const softBridge: MetalBridge = {
  MetalDevice: {
    open: (options) => new SoftDevice(JSON.parse(options) as OpenOptions),
    devices: () => JSON.stringify([INFO]),
  },
};
