import { fileURLToPath } from 'node:url';
import { requireUnit } from '../../scripts/hip/units.ts';
import { type AnyHipKernel, formatDefines } from '../../ts/kernels/hip/declare.ts';
import { formatFinding } from '../../ts/testbed/check.ts';
import { type CompiledModule, compile, preprocess } from '../../ts/testbed/compile.ts';
import { type BufferArgument, type Counters, dispatch, type Order } from '../../ts/testbed/dispatch.ts';
import { type Target, waveOf } from './emulation.ts';

const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url));

const modules = new Map<string, Promise<CompiledModule>>();
/** A kernel file for one target, every access instrumented; compiled once per process and cached between them. */
export function sanitized(source: string, target: Target, format: string | null): Promise<CompiledModule> {
  const key = `${source} ${target} ${format}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = build(source, target, format);
    modules.set(key, module);
  }
  return module;
}

async function build(source: string, target: Target, format: string | null): Promise<CompiledModule> {
  requireUnit(source, format);
  const options = {
    target,
    wave: waveOf(target),
    include: [path('Sources/KernelABI/include'), path('hip')],
    define: formatDefines(format),
  };
  const text = await preprocess(path(`hip/${source}`), options);
  const module = 'text' in text ? await compile(text, 'sanitize', options) : text;
  if ('path' in module) return module;
  throw new Error(`${source} ${format ?? ''} for ${target}:\n${module.map(formatFinding).join('\n')}`);
}

export interface HipLaunch {
  readonly kernel: AnyHipKernel;
  readonly target: Target;
  readonly constants: Readonly<Record<string, number>>;
  readonly params: Readonly<Record<string, number | readonly number[]>>;
  /** Contents, or the size of an output; optional buffers that are left out are null pointers. */
  readonly buffers: Readonly<Record<string, Uint8Array | { readonly bytes: number }>>;
  /** Byte offsets at which buffers are bound. */
  readonly offsets?: Readonly<Record<string, number>>;
  readonly orders?: readonly Order[];
}
export const ORDERS: readonly Order[] = ['forward', 'reverse', { random: 7 }];

/**
 * Run a launch sanitized in every order. Fails on any finding and when orders differ; gives the written buffers and the
 * counters of the first order. Grid, extents and the parameter block come from the declaration.
 */
export async function launch({ kernel, target, constants, params, buffers, offsets = {}, orders = ORDERS }: HipLaunch) {
  const all = { ...constants, ...(kernel.constants.includes('wave') && { wave: waveOf(target) }) };
  const refused = kernel.refuse(params as never, all as never);
  if (refused !== null) throw new Error(`${kernel.name} refuses: ${refused}`);
  for (const [name, range] of Object.entries(kernel.extents(params as never, all as never))) {
    const data = buffers[name];
    if (data === undefined || range === undefined) continue;
    const size = data instanceof Uint8Array ? data.byteLength : data.bytes;
    const offset = offsets[name] ?? 0;
    if (range.from + offset < 0 || range.to + offset > size) {
      throw new Error(`${kernel.name}: ${name} needs bytes ${range.from} to ${range.to} from ${offset} of ${size}`);
    }
  }
  const geometry = kernel.geometry(params as never, all as never);
  const module = await sanitized(kernel.source, target, kernel.format(all as never));
  const block = new Uint8Array(kernel.params.byteLength);
  kernel.params.encode(params as never, new DataView(block.buffer), 0);
  const bound: BufferArgument[] = kernel.bufferNames.map((name, index) => ({
    index,
    data: buffers[name] ?? null,
    offset: offsets[name] ?? 0,
  }));
  bound.push({ index: kernel.bufferNames.length, data: block });
  let first: { buffers: ReadonlyMap<number, Uint8Array>; counters?: Counters } | undefined;
  for (const order of orders) {
    const result = await dispatch(module, {
      kernel: kernel.entry(all as never),
      grid: geometry.threadgroups,
      group: geometry.threads,
      buffers: bound,
      threadgroup: geometry.threadgroupBytes ?? [],
      order,
      count: first === undefined,
    });
    if (result.findings.length > 0) {
      throw new Error(`${kernel.name} on ${target}:\n${result.findings.map(formatFinding).join('\n')}`);
    }
    first ??= result;
    for (const [index, bytes] of result.buffers) {
      if (Buffer.compare(bytes, first.buffers.get(index)!) !== 0) {
        throw new Error(`${kernel.name} on ${target}: buffer ${index} differs in ${JSON.stringify(order)} order`);
      }
    }
  }
  const outputs = Object.fromEntries(kernel.bufferNames.map((name, index) => [name, first!.buffers.get(index)]));
  return { outputs, counters: first!.counters! };
}
