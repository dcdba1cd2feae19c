import { cpus, release, totalmem } from 'node:os';
import {
  loadNative,
  type NativeAttempt,
  nativeAttempts,
  nativeCandidates,
  packageVersion,
} from '../../ts/backends/native.ts';
import { openDevice } from '../../ts/backends/open.ts';
import type { BackendName } from '../../ts/device/backend.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';

const BACKENDS: readonly BackendName[] = ['metal', 'hip', 'cpu'];

/** A back end: what its device can do, or why there is none. */
export type DeviceInfo =
  | {
      readonly backend: BackendName;
      readonly available: true;
      readonly deviceName: string;
      readonly architecture: string;
      readonly computeUnits: number;
      readonly memoryBytes: number;
      readonly int8Dot: boolean;
      readonly kernels: readonly string[];
    }
  | { readonly backend: BackendName; readonly available: false; readonly reason: string };

export interface MachineInfo {
  readonly tilewright: string;
  readonly node: string;
  readonly platform: string;
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly native: {
    /** The binary that was loaded, or null. */
    readonly loaded: string | null;
    /** Every place that was looked at, best first; an error of null is the loaded one. */
    readonly tried: readonly NativeAttempt[];
    /** Places that were not needed. */
    readonly untried: readonly { readonly what: string; readonly path: string }[];
    /** Instruction sets that the binary has kernels for. */
    readonly isas: readonly { readonly name: string; readonly supported: boolean }[];
  };
  readonly devices: readonly DeviceInfo[];
  readonly formats: readonly {
    readonly name: string;
    readonly kind: 'block' | 'plain';
    readonly blockSize: number;
    readonly blockBytes: number;
    readonly bitsPerWeight: number;
    /** GGUF's `ggml_type` number. */
    readonly ggufType: number | null;
  }[];
}

/** Everything about this machine and package that matters when a kernel runs, or does not. */
export async function machineInfo(): Promise<MachineInfo> {
  const isas = nativeIsas();
  const tried = [...nativeAttempts()];
  return {
    tilewright: packageVersion,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    system: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    native: {
      loaded: tried.find(({ error }) => error === null)?.path ?? null,
      tried,
      untried: nativeCandidates().slice(tried.length),
      isas,
    },
    devices: await Promise.all(BACKENDS.map(deviceInfo)),
    formats: formats(),
  };
}

/** A package without a working binary still has something to tell: what was tried. */
function nativeIsas(): MachineInfo['native']['isas'] {
  try {
    return loadNative().isas();
  } catch {
    return [];
  }
}

async function deviceInfo(backend: BackendName): Promise<DeviceInfo> {
  try {
    await using device = await openDevice({ backend });
    const { kernels, ...capabilities } = device.capabilities;
    return { ...capabilities, backend, available: true, kernels: [...kernels] };
  } catch (error) {
    return { backend, available: false, reason: (error as Error).message.split('\n')[0]! };
  }
}

function formats(): MachineInfo['formats'] {
  return [
    ...QuantFormat.list().map(({ name, blockSize, blockBytes, ggufType }) => ({
      name,
      kind: 'block' as const,
      blockSize,
      blockBytes,
      bitsPerWeight: (8 * blockBytes) / blockSize,
      ggufType: ggufType ?? null,
    })),
    ...Object.values(DTYPES).map(({ name, bytes, ggufType }) => ({
      name,
      kind: 'plain' as const,
      blockSize: 1,
      blockBytes: bytes,
      bitsPerWeight: 8 * bytes,
      ggufType,
    })),
  ];
}
