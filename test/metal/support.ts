import { fileURLToPath } from 'node:url';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { formatFinding } from '../../ts/testbed/check.ts';
import { type CompiledModule, compile, preprocess } from '../../ts/testbed/compile.ts';
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
    module = (async () => {
      const text = await preprocess(shader(source), OPTIONS);
      if (!('text' in text)) throw new Error(text.map(formatFinding).join('\n'));
      const compiled = await compile(text, 'sanitize', OPTIONS);
      if (!('path' in compiled)) throw new Error(compiled.map(formatFinding).join('\n'));
      return compiled;
    })();
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
  /** Defaults to forward, reverse and a random one. */
  readonly orders?: readonly Order[];
}

export const ORDERS: readonly Order[] = ['forward', 'reverse', { random: 7 }];

/**
 * Run a launch sanitized in every order. Fails on any finding and when orders differ; gives the written buffers and the
 * counters of the first order. Grid, function constants and bindings come from the declaration, as on a device.
 */
export async function launch({ kernel, constants, params, buffers, orders = ORDERS }: MetalLaunch) {
  const refusal = kernel.refuse(params as never, constants);
  if (refusal !== null) throw new Error(`${kernel.name} refuses: ${refusal}`);
  const module = await sanitized(kernel.source);
  const geometry = kernel.geometry(params as never, constants);
  const encoded = new Uint8Array(kernel.params.byteLength);
  kernel.params.encode(params as never, new DataView(encoded.buffer), 0);
  const ranges = kernel.extents(params as never, constants);
  const bound: BufferArgument[] = kernel.bufferNames.flatMap((name, index) => {
    const data = buffers[name];
    if (data === undefined) {
      if (kernel.buffers[name]!.optional !== true) throw new Error(`${kernel.name}: buffer ${name} is missing`);
      return [];
    }
    const bytes = data instanceof Uint8Array ? data.byteLength : data.bytes;
    const range = ranges[name]!;
    if (range.from < 0 || range.to > bytes) throw new Error(`${kernel.name}: ${name} needs ${range.from}..${range.to}`);
    return [{ index, data }];
  });
  bound.push({ index: kernel.bufferNames.length, data: encoded });
  const values = Object.fromEntries(
    kernel.constants.map((name) => [name.startsWith('has_') ? name : `fc_${name}`, constants[name] ?? 0]),
  );
  let first: { buffers: ReadonlyMap<number, Uint8Array>; counters?: Counters } | undefined;
  for (const order of orders) {
    const result = await dispatch(module, {
      kernel: kernel.entry(constants),
      grid: geometry.threadgroups,
      group: geometry.threads,
      buffers: bound,
      constants: values,
      ...(geometry.threadgroupBytes && { threadgroup: geometry.threadgroupBytes }),
      order,
      count: first === undefined,
    });
    if (result.findings.length > 0) {
      throw new Error(`${kernel.entry(constants)}:\n${result.findings.map(formatFinding).join('\n')}`);
    }
    if (first === undefined) first = result;
    for (const [index, bytes] of result.buffers) {
      if (Buffer.compare(bytes, first.buffers.get(index)!) !== 0) {
        throw new Error(`${kernel.entry(constants)}: buffer ${index} differs in ${JSON.stringify(order)} order`);
      }
    }
  }
  const outputs = Object.fromEntries(kernel.bufferNames.map((name, index) => [name, first!.buffers.get(index)]));
  return { outputs, counters: first!.counters! };
}
