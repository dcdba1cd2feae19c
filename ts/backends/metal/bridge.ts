// The types of the native module that Sources/MetalBridge builds, and of the JSON that crosses it. Only Uint8Array,
// strings, numbers, booleans and promises do.
import { type ErrorCode, TilewrightError } from '../../errors.ts';

/** What the module exports. */
export interface MetalBridge {
  readonly MetalDevice: {
    /** {@link OpenOptions} as JSON. Throws a tagged error where there is no device. */
    open(options: string): MetalBridgeDevice;
    /** A list of {@link MetalDeviceInfo}, as JSON. */
    devices(): string;
  };
}

export interface MetalBridgeDevice {
  /** {@link MetalDeviceInfo} as JSON. */
  info(): string;
  /** Zero-filled memory that host and device share. */
  allocate(byteLength: number): MetalBridgeBuffer;
  /** A file as device memory, without a copy. */
  map(path: string): MetalBridgeMapping;
  /**
   * Compile one self-contained source; an id of the library. `options` is {@link LibraryOptions} as JSON. Rejects with
   * ERR_KERNEL_COMPILE and the compiler's text.
   */
  library(source: string, options: string): Promise<number>;
  /**
   * A function of a library, specialised; an id of the pipeline. `constants` is a sequence of index, type and value, as
   * little-endian 32-bit words; types are those of `CONSTANT_TYPES`.
   */
  pipeline(library: number, name: string, constants: Uint8Array): Promise<number>;
  /** {@link PipelineInfo} as JSON. */
  pipelineInfo(pipeline: number): string;
  /** Queue the launches of `commands` (`encode.ts`), in order after everything queued before. */
  submit(commands: Uint8Array, buffers: readonly MetalBridgeBuffer[], timed: boolean): MetalBridgeSubmission;
  /** Record what is submitted from now on into a document that Xcode opens. */
  startCapture(path: string): void;
  stopCapture(): void;
  /** Waits, boundedly, for work in flight, and frees. */
  close(): void;
}

export interface MetalBridgeBuffer {
  readonly byteLength: number;
  readonly readOnly: boolean;
  write(bytes: Uint8Array, offset: number): void;
  read(into: Uint8Array, offset: number): void;
  /** May be called again; work in flight keeps the memory. */
  release(): void;
}

export interface MetalBridgeMapping {
  readonly byteLength: number;
  range(offset: number, length: number): MetalBridgeBuffer;
  release(): void;
}

export interface MetalBridgeSubmission {
  /** {@link SubmissionReport} as JSON. */
  readonly done: Promise<string>;
  cancel(): void;
}

export interface OpenOptions {
  /** Name or registry id of the device; the system's default device where absent. */
  readonly device?: string;
  /** Where compiled pipelines are kept between runs; absent: nowhere. */
  readonly cacheFolder?: string;
  /** Milliseconds that a list may take before the device counts as hung. */
  readonly timeoutMs?: number;
  /** The software device (Linux) only. */
  readonly software?: {
    /** Program and arguments of the compiler: source on its input, one line of JSON out (ts/testbed/compile-service). */
    readonly compiler: readonly string[];
    /** What it claims to be; the entries of {@link MetalDeviceInfo} by name. */
    readonly capabilities?: Partial<MetalDeviceInfo>;
    /** Milliseconds of processor time after which a launch counts as hung. */
    readonly timeoutMs?: number;
  };
}

export interface MetalDeviceInfo {
  readonly name: string;
  /** `applegpu_g13g` and the like. */
  readonly architecture: string;
  /** `apple7`, `mac2`, `metal3`, ... */
  readonly families: readonly string[];
  readonly simdgroupMatrix: boolean;
  readonly bfloat: boolean;
  /** GPU cores; 0 where the system does not tell. */
  readonly coreCount: number;
  readonly workingSetBytes: number;
  readonly maxThreadgroupBytes: number;
  readonly maxThreadgroupThreads: number;
  readonly maxBufferBytes: number;
  readonly unifiedMemory: boolean;
  readonly registryId: string;
  /** Name and version of the system. */
  readonly os: string;
  /** True for the software device. */
  readonly software: boolean;
}

export interface LibraryOptions {
  /** Shown in the compiler's messages and in captures. */
  readonly label: string;
}

export interface PipelineInfo {
  readonly maxTotalThreadsPerThreadgroup: number;
  readonly threadExecutionWidth: number;
  readonly staticThreadgroupMemoryLength: number;
}

/** Milliseconds of the GPU's clock. */
export interface SubmissionReport {
  readonly cancelled: boolean;
  readonly total: { readonly begin: number; readonly end: number };
  /** Per launch, where times were asked for. */
  readonly times: readonly { readonly begin: number; readonly end: number }[] | null;
}

interface TaggedError {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What the bridge throws carries `{ code, message, details }` as JSON in its message; anything else is its own bug. */
export function bridgeError(error: unknown): TilewrightError {
  if (error instanceof TilewrightError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const tagged = parseTag(message);
  if (tagged === null) {
    return new TilewrightError('ERR_NATIVE_FAILURE', `The Metal bridge failed: ${message}`, { cause: error });
  }
  return new TilewrightError(tagged.code as ErrorCode, tagged.message, { details: tagged.details ?? {}, cause: error });
}

function parseTag(message: string): TaggedError | null {
  // Node puts the class before the message in some versions: the JSON starts at the first brace.
  const start = message.indexOf('{');
  if (start === -1) return null;
  try {
    const value = JSON.parse(message.slice(start)) as Partial<TaggedError>;
    return typeof value.code === 'string' && value.code.startsWith('ERR_') && typeof value.message === 'string'
      ? (value as TaggedError)
      : null;
  } catch {
    return null;
  }
}

/** Call into the bridge; what it throws becomes a TilewrightError. */
export function bridgeCall<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw bridgeError(error);
  }
}
