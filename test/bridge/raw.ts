import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { nativeTarget } from '#native-target';
import type { MetalBridge, MetalBridgeDevice, SubmissionReport } from '../../ts/backends/metal/bridge.ts';
import { encodeCommands } from '../../ts/backends/metal/encode.ts';

/** The bridge that the sources were built to. */
export const BRIDGE = fileURLToPath(new URL(`../../build/${nativeTarget()}/tilewright-metal.node`, import.meta.url));
export const PITFALLS = fileURLToPath(
  new URL(
    process.platform === 'darwin'
      ? '../../build/swift/release/libNodeSwiftPitfalls.dylib'
      : '../../build/swift/debug/libNodeSwiftPitfalls.so',
    import.meta.url,
  ),
);
const SERVICE = fileURLToPath(new URL('../../dist/ts/testbed/compile-service.js', import.meta.url));

/** Options of the software device, which needs a compiler; a Mac's devices take no notice. */
export const software = (options: object = {}) => ({ software: { compiler: [process.execPath, SERVICE], ...options } });

export const { MetalDevice } = createRequire(import.meta.url)(BRIDGE) as MetalBridge;

export const open = (options: object = software()): MetalBridgeDevice => MetalDevice.open(JSON.stringify(options));

/** `add`: x[i] += y[i] * k, n of them; `spin` never ends; `far` writes where there is nothing. */
export const SOURCE = `#include <metal_stdlib>
using namespace metal;
constant uint k [[function_constant(0)]];
kernel void add(device float* x [[buffer(0)]], device const float* y [[buffer(1)]], constant uint& n [[buffer(2)]],
                uint i [[thread_position_in_grid]]) {
  if (i < n) x[i] += y[i] * float(k);
}
kernel void spin(device float* x [[buffer(0)]], device const float* y [[buffer(1)]], constant uint& n [[buffer(2)]]) {
  while (x[0] < 1.0f) x[1] += y[0];
}
kernel void far(device float* x [[buffer(0)]], device const float* y [[buffer(1)]], constant uint& n [[buffer(2)]]) {
  x[1 << 24] = y[0];
}
`;

export async function pipeline(device: MetalBridgeDevice, name = 'add', k = 1): Promise<number> {
  const library = await device.library(SOURCE, JSON.stringify({ label: 'bridge tests' }));
  return await device.pipeline(library, name, new Uint8Array(new Uint32Array([0, 1, k]).buffer));
}

/** One launch of {@link SOURCE}'s kernels on buffers 0 and 1 of a list, `n` elements. */
export const launch = (id: number, n: number, x = 0, y = 1) => ({
  pipeline: id,
  geometry: {
    threadgroups: [Math.ceil(n / 32), 1, 1] as const,
    threads: [32, 1, 1] as const,
    threadgroupBytes: [],
  },
  params: new Uint8Array(new Uint32Array([n]).buffer),
  paramsIndex: 2,
  buffers: [
    { index: 0, memory: x, byteOffset: 0 },
    { index: 1, memory: y, byteOffset: 0 },
  ],
});

export const list = (...launches: ReturnType<typeof launch>[]): Uint8Array => encodeCommands(launches);

export function floats(device: MetalBridgeDevice, values: readonly number[]) {
  const buffer = device.allocate(4 * values.length);
  buffer.write(new Uint8Array(Float32Array.from(values).buffer), 0);
  return buffer;
}

export function read(buffer: { readonly byteLength: number; read(into: Uint8Array, offset: number): void }): number[] {
  const bytes = new Uint8Array(buffer.byteLength);
  buffer.read(bytes, 0);
  return [...new Float32Array(bytes.buffer)];
}

export const report = async (done: Promise<string>): Promise<SubmissionReport> => JSON.parse(await done);

/** The tag of what `call` throws or rejects with. */
export async function tagOf(call: () => unknown): Promise<{ code: string; message: string }> {
  try {
    await call();
  } catch (error) {
    return JSON.parse((error as Error).message);
  }
  throw new Error('nothing was thrown');
}
