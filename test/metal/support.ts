import { fileURLToPath } from 'node:url';
import type { DeviceBuffer } from '../../ts/device/buffer.ts';
import { launch as declaredLaunch } from '../../ts/device/command-list.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { prepareLaunch } from '../../ts/kernels/metal/prepare.ts';
import { compileKernels, formatFinding } from '../../ts/testbed/check.ts';
import type { CompiledModule } from '../../ts/testbed/compile.ts';
import { type BufferArgument, type Counters, dispatch, type Order } from '../../ts/testbed/dispatch.ts';
import { findToolchain } from '../../ts/testbed/toolchain.ts';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

export const shader = (source: string) => path(`metal/${source}`);
/** What every shader of the package is compiled with. */
export const OPTIONS = { include: [path('Sources/KernelABI/include'), path('metal')] } as const;

/** Tests of kernels need clang 19; where it is missing they are skipped, and say so. */
export const hasClang = await findToolchain().then(
  () => true,
  () => false,
);

const modules = new Map<string, Promise<CompiledModule>>();
/** A shader with every access instrumented, compiled once per process and cached between them. */
export function sanitized(source: string): Promise<CompiledModule> {
  let module = modules.get(source);
  if (module === undefined) {
    module = compileKernels(shader(source), 'sanitize', OPTIONS);
    modules.set(source, module);
  }
  return module;
}

export interface MetalLaunch {
  readonly kernel: AnyMetalKernel;
  readonly constants: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, number | readonly number[]>>;
  /** Contents, or the size of an output; leave optional buffers out. */
  readonly buffers: Readonly<Record<string, Uint8Array | { readonly bytes: number }>>;
  /** Byte offsets at which buffers are bound. */
  readonly offsets?: Readonly<Record<string, number>>;
  /** Defaults to forward, reverse and a random one. */
  readonly orders?: readonly Order[];
}

export const ORDERS: readonly Order[] = ['forward', 'reverse', { random: 7 }];

/** Memory of the test bed, as far as a launch looks at it. */
const memory = (data: Uint8Array | { readonly bytes: number }) =>
  ({ byteLength: data instanceof Uint8Array ? data.byteLength : data.bytes, readOnly: false }) as DeviceBuffer;

/** What a device would be given: checked by the code that checks it there. */
export function prepare({ kernel, constants, params, buffers, offsets = {} }: MetalLaunch) {
  const all = Object.fromEntries(kernel.constants.map((name) => [name, constants[name] ?? 0]));
  const bindings = Object.entries(buffers).map(([name, data]) => [
    name,
    { buffer: memory(data), byteOffset: offsets[name] ?? 0 },
  ]);
  return prepareLaunch(
    declaredLaunch(kernel, { buffers: Object.fromEntries(bindings), constants: all, params: params as never }),
  );
}

/** Function constants of a prepared launch, by index. */
function constantValues(encoded: Uint8Array): Record<string, number> {
  const view = new DataView(encoded.buffer);
  const count = encoded.byteLength / 12;
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [view.getUint32(12 * i, true), view.getUint32(12 * i + 8, true)]),
  );
}

/**
 * Run a launch sanitized in every order. Fails on any finding and when orders differ; gives the written buffers and the
 * counters of the first order. Grid, function constants and bindings come from the declaration, as on a device.
 */
export async function launch(spec: MetalLaunch) {
  const { kernel, buffers, orders = ORDERS } = spec;
  const prepared = prepare(spec);
  if (prepared === null) throw new Error(`${kernel.name}: an empty problem is not launched`);
  const module = await sanitized(kernel.source);
  const bound: BufferArgument[] = prepared.buffers.map(({ index, binding }) => ({
    index,
    offset: binding.byteOffset,
    data: buffers[kernel.bufferNames[index]!]!,
  }));
  bound.push({ index: prepared.paramsIndex, data: prepared.params });
  let first: { buffers: ReadonlyMap<number, Uint8Array>; counters?: Counters } | undefined;
  for (const order of orders) {
    const result = await dispatch(module, {
      kernel: prepared.entry,
      grid: prepared.geometry.threadgroups,
      group: prepared.geometry.threads,
      buffers: bound,
      constants: constantValues(prepared.constants),
      threadgroup: prepared.geometry.threadgroupBytes,
      order,
      count: first === undefined,
    });
    if (result.findings.length > 0) {
      throw new Error(`${prepared.entry}:\n${result.findings.map(formatFinding).join('\n')}`);
    }
    if (first === undefined) first = result;
    for (const [index, bytes] of result.buffers) {
      if (Buffer.compare(bytes, first.buffers.get(index)!) !== 0) {
        throw new Error(`${prepared.entry}: buffer ${index} differs in ${JSON.stringify(order)} order`);
      }
    }
  }
  const outputs = Object.fromEntries(kernel.bufferNames.map((name, index) => [name, first!.buffers.get(index)]));
  return { outputs, counters: first!.counters! };
}
