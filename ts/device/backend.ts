import type { AnyKernel } from '../kernels/declare.ts';
import type { Launch } from './command-list.ts';
import type { ElementwiseCatalogue } from './elementwise.ts';

/** Where kernels run. */
export type BackendName = 'cpu' | 'metal' | 'hip';

/** What a device can do; what the dispatcher's rules ask about. */
export interface Capabilities {
  readonly backend: BackendName;
  /** The device as its maker calls it. */
  readonly deviceName: string;
  /** Instruction set or GPU architecture whose kernels run: `avx512`, `apple9`, `gfx1100`. */
  readonly architecture: string;
  /** CPU worker threads, or GPU cores / compute units. */
  readonly computeUnits: number;
  /** Bytes that all buffers together may take, as far as the device tells. */
  readonly memoryBytes: number;
  /** Integer dot products of 8-bit values in hardware. */
  readonly int8Dot: boolean;
  /** Names of the kernels that this device runs. */
  readonly kernels: ReadonlySet<string>;
  /** GPUs: lanes that run in step, a simdgroup or wave. */
  readonly waveSize?: 32 | 64;
  /** GPUs: memory that a threadgroup may share (threadgroup memory, LDS), in bytes. */
  readonly maxThreadgroupBytes?: number;
  /** GPUs: threads of a threadgroup. */
  readonly maxThreadgroupThreads?: number;
  /** Metal: 8 by 8 matrices across a simdgroup. */
  readonly simdgroupMatrix?: boolean;
  /** Metal: bfloat in shaders. */
  readonly bfloat?: boolean;
  /** GPUs whose driver is a thing of its own: its interface and version. */
  readonly driver?: string;
  /** GPUs: host and device share memory, so that nothing is copied between them. */
  readonly unifiedMemory?: boolean;
}

/** Memory of a back end. Offsets and lengths are in bytes. */
export interface BackendMemory {
  readonly byteLength: number;
  readonly readOnly: boolean;
  write(bytes: Uint8Array, offset: number): void;
  read(target: Uint8Array, offset: number): void;
  release(): void;
}

export interface LoadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes that have arrived since it was told last. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/** A file whose contents are device memory without having been copied, as far as the device can read host memory. */
export interface BackendMapping {
  readonly byteLength: number;
  range(offset: number, length: number): BackendMemory;
  /** As `range`, for back ends that have to copy: on another thread, so that JavaScript is not held up. */
  load?(offset: number, length: number, options: LoadOptions): Promise<BackendMemory>;
  release(): void;
}

/** When a launch began and ended, in milliseconds of the back end's clock. */
export interface LaunchTime {
  readonly begin: number;
  readonly end: number;
}

export interface BackendRun {
  /** Resolves when all launches have run; rejects with a TilewrightError, or with `cancelled` set, resolves. */
  readonly done: Promise<{
    readonly cancelled: boolean;
    readonly total: LaunchTime;
    readonly times: LaunchTime[] | null;
  }>;
  cancel(): void;
}

/** A command list that a back end keeps ready: buffers and parameters stay as they are. */
export interface BackendRecording {
  run(options: { readonly timed: boolean }): BackendRun;
  release(): void;
}

/** What a back end has to provide. Everything else (tensors, checks, timing, async) is written once, in `Device`. */
export interface Backend {
  readonly capabilities: Capabilities;
  readonly elementwise: ElementwiseCatalogue;
  /** @throws ERR_OUT_OF_MEMORY */
  allocate(byteLength: number): BackendMemory;
  /** @throws ERR_FILE */
  map(path: string): BackendMapping;
  /** Whether it runs a kernel that is none of `capabilities.kernels`: one that brings its source. Defaults to no. */
  compiles?(kernel: AnyKernel): boolean;
  /** Queue launches, in order after everything queued before. Bounds have been checked. */
  run(launches: readonly Launch[], options: { readonly timed: boolean }): BackendRun;
  /** Keep launches for running them many times; a back end that has nothing to gain leaves this out. */
  record?(launches: readonly Launch[]): BackendRecording;
  /** Record what runs from now on into a document for the vendor's debugger; left out where there is none. */
  startCapture?(path: string): void;
  /** Writes the document. */
  stopCapture?(): void;
  /** Stops and frees; nothing is in flight any more. */
  close(): void;
}
