// The one file that touches the raw addon: its types, finding it, and turning its errors into ours.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeCacheFolder, nativeTarget } from '#native-target';
import { type ErrorCode, type ErrorDetails, TilewrightError } from '../errors.ts';

export interface NativeBuffer {
  readonly byteLength: number;
  write(bytes: Uint8Array, offset: number): void;
  read(target: Uint8Array, offset: number): void;
  release(): void;
}
export interface NativeMapping {
  readonly byteLength: number;
  range(offset: number, length: number): NativeBuffer;
  release(): void;
}
export type NativeStatus = 'done' | 'cancelled' | 'out of memory' | 'file changed' | 'failed';
export interface NativeEngine {
  readonly isa: string;
  readonly threads: number;
  /** @returns an id for {@link cancel} */
  submit(
    commands: Uint8Array,
    buffers: readonly NativeBuffer[],
    timed: boolean,
    done: (status: NativeStatus, message: string, begin: number, end: number, times: Float64Array | null) => void,
  ): number;
  cancel(id: number): void;
  close(): void;
}
/** Memory of a GPU. */
export type NativeGpuBuffer = NativeBuffer;
export interface NativeGpuRecording {
  release(): void;
}
/** Called when a command list has ended; `error` is what {@link nativeError} takes. */
export type NativeGpuDone = (
  cancelled: boolean,
  error: Error | null,
  begin: number,
  end: number,
  times: Float64Array | null,
) => void;
/** A GPU behind a driver that is bound at run time: see Sources/GpuDriver. */
export interface NativeGpu {
  /** JSON of {@link NativeGpuInfo}. */
  info(): string;
  allocate(byteLength: number): NativeGpuBuffer;
  upload(source: NativeBuffer): NativeGpuBuffer;
  /** Memory with undefined contents, for {@link stage}. */
  reserve(byteLength: number): NativeGpuBuffer;
  /** Copies a part of `source` to the same place of `target`, on another thread. */
  stage(target: NativeGpuBuffer, source: NativeBuffer, offset: number, bytes: number): Promise<number>;
  load(codeObject: Uint8Array): Promise<number>;
  function(module: number, name: string): number;
  /** Whether a profiler wants names of launches: labels for {@link submit} and {@link record}. */
  profiled(): boolean;
  /** @returns an id for {@link cancel} */
  submit(
    commands: Uint8Array,
    buffers: readonly NativeGpuBuffer[],
    timed: boolean,
    done: NativeGpuDone,
    labels?: readonly string[],
  ): number;
  record(commands: Uint8Array, buffers: readonly NativeGpuBuffer[], labels?: readonly string[]): NativeGpuRecording;
  replay(recording: NativeGpuRecording, timed: boolean, done: NativeGpuDone): number;
  cancel(id: number): void;
  close(): void;
}
export interface NativeGpuInfo {
  readonly name: string;
  readonly architecture: string;
  /** Library that was bound, and whose functions it has. */
  readonly driver: string;
  readonly api: 'hip' | 'cuda';
  readonly driverVersion: number;
  readonly computeUnits: number;
  readonly waveSize: 32 | 64;
  readonly maxThreads: number;
  readonly ldsBytes: number;
  readonly l2Bytes: number;
  readonly memoryBytes: number;
  /** Recorded command lists are replayed as graphs. */
  readonly graphs: boolean;
}
export interface NativeAddon {
  readonly version: string;
  readonly NativeMapping: new (path: string) => NativeMapping;
  readonly NativeEngine: new (isa: string, threads: number, pin: boolean) => NativeEngine;
  /** `libraries` may be empty: then the drivers' own names are tried. `seconds` is how long a command list may take. */
  readonly NativeGpu: new (
    libraries: readonly string[],
    ordinal: number,
    seconds: number,
  ) => NativeGpu;
  /** Loads a driver and opens a device on another thread; while the result is held, NativeGpu does so at once. */
  reachGpu(libraries: readonly string[], ordinal: number): Promise<unknown>;
  allocate(byteLength: number): NativeBuffer;
  isas(): { readonly name: string; readonly supported: boolean }[];
  dequantize(format: number, bytes: Uint8Array, count: number): Float32Array;
  quantize(format: number, values: Float32Array, bytes: number): Uint8Array;
}

/** The package's root: the folder of its package.json, seen from the sources and from dist alike. */
export const packageRoot: URL = (() => {
  let folder = new URL('.', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) folder = new URL('..', folder);
  return folder;
})();
export const packageVersion: string = (
  JSON.parse(readFileSync(new URL('package.json', packageRoot), 'utf8')) as { version: string }
).version;

/** Where a binary for this machine may be, best first. */
export function nativeCandidates(): readonly { readonly what: string; readonly path: string }[] {
  const target = nativeTarget();
  const override = process.env.TILEWRIGHT_NATIVE;
  const cache = nativeCacheFolder(packageVersion);
  return [
    ...(override ? [{ what: 'TILEWRIGHT_NATIVE', path: override }] : []),
    {
      what: 'built in the package',
      path: fileURLToPath(new URL(`build/${target}/tilewright.node`, packageRoot)),
    },
    { what: 'platform package', path: `@tilewright/${target}/tilewright.node` },
    // `tilewright build` puts it there when the package's own folder cannot be written.
    ...(cache === null ? [] : [{ what: 'built in the cache folder', path: join(cache, 'tilewright.node') }]),
  ];
}

let addon: NativeAddon | null = null;

/** What became of one place where a binary may be. */
export interface NativeAttempt {
  readonly what: string;
  readonly path: string;
  /** Why it is not the one; null for the binary that was loaded. */
  readonly error: string | null;
}
const tried: NativeAttempt[] = [];

/** The places that the last {@link loadNative} tried, in order. */
export function nativeAttempts(): readonly NativeAttempt[] {
  return tried;
}

/**
 * Load the addon, once.
 * @throws ERR_NATIVE_MISSING with every place that was tried and what went wrong there.
 */
export function loadNative(): NativeAddon {
  if (addon !== null) return addon;
  const require = createRequire(import.meta.url);
  tried.length = 0;
  for (const { what, path } of nativeCandidates()) {
    try {
      const loaded = require(path) as NativeAddon;
      if (loaded.version !== packageVersion) {
        tried.push({ what, path, error: `is of version ${loaded.version}, this package is ${packageVersion}` });
        continue;
      }
      tried.push({ what, path, error: null });
      addon = loaded;
      return loaded;
    } catch (error) {
      tried.push({ what, path, error: (error as Error).message.split('\n')[0]! });
    }
  }
  const attempts = tried.map(({ what, path, error }) => `${path} (${what}): ${error}`);
  throw new TilewrightError(
    'ERR_NATIVE_MISSING',
    `No native binary of tilewright ${packageVersion} works on this machine (${nativeTarget()}, Node ` +
      `${process.versions.node}). Tried:\n${attempts.map((attempt) => `  - ${attempt}`).join('\n')}\n` +
      'If optional packages were left out, reinstall with `npm install --include=optional`; ' +
      'or build it here with `npx tilewright build` (needs a C++ compiler and make).',
    { details: { attempts } },
  );
}

/** Run native code; what it throws becomes a TilewrightError. */
export function nativeCall<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw nativeError(error);
  }
}

/** What native code threw, as a TilewrightError; `details` comes as JSON. */
export function nativeError(error: unknown): unknown {
  if (error instanceof TilewrightError || !(error instanceof Error)) return error;
  const { code, details } = error as Error & { code?: unknown; details?: unknown };
  const own = typeof code === 'string' && code.startsWith('ERR_') && !code.startsWith('ERR_NAPI');
  return new TilewrightError(own ? (code as ErrorCode) : 'ERR_NATIVE_FAILURE', error.message, {
    cause: error,
    ...(typeof details === 'string' && { details: JSON.parse(details) as ErrorDetails }),
  });
}
