import { TilewrightError } from '../errors.ts';
import { sorted } from './check.ts';
import { type CompiledModule, type CompileOptions, compile, preprocess } from './compile.ts';
import { type BufferArgument, type Counters, dispatch, type Order, type RunFinding } from './dispatch.ts';
import type { Finding, KernelSignature } from './rewrite/signature.ts';
import { decode, type RunSpec } from './spec.ts';

export interface RunResult {
  readonly name: string;
  readonly kernel: string;
  readonly findings: readonly (Finding | RunFinding)[];
  readonly counters?: Counters;
  /** Contents of the written buffers after the last order, by name. */
  readonly outputs: ReadonlyMap<string, Uint8Array>;
}

/** Run a kernel file on what a spec says, sanitized, in every order; the counters come from the first. */
export async function runKernels(
  path: string,
  specs: readonly RunSpec[],
  options: CompileOptions = {},
): Promise<RunResult[]> {
  const source = await preprocess(path, options);
  if (!('text' in source)) return specs.map((spec) => failed(spec, source));
  const only = new RegExp(`^(${[...new Set(specs.map(({ kernel }) => literally(kernel)))].join('|')})$`);
  const module = await compile(source, 'sanitize', { ...options, only });
  if (!('path' in module)) return specs.map((spec) => failed(spec, module));
  const results: RunResult[] = [];
  for (const spec of specs) results.push(await runSpec(module, spec));
  return results;
}

const literally = (name: string) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const failed = (spec: RunSpec, findings: readonly Finding[]): RunResult => ({
  name: spec.name,
  kernel: spec.kernel,
  findings,
  outputs: new Map(),
});

async function runSpec(module: CompiledModule, spec: RunSpec): Promise<RunResult> {
  const kernel = module.signature.kernels.find(({ name }) => name === spec.kernel);
  if (kernel === undefined) {
    throw new TilewrightError(
      'ERR_KERNEL_UNKNOWN',
      `The kernel file has no kernel ${spec.kernel}, which the spec runs.`,
    );
  }
  const buffers = bindings(kernel, spec);
  const findings: (Finding | RunFinding)[] = [];
  let counters: Counters | undefined;
  let outputs = new Map<string, Uint8Array>();
  for (const [i, order] of spec.orders.entries()) {
    const result = await dispatch(module, {
      kernel: spec.kernel,
      grid: spec.grid,
      gridInThreads: spec.gridInThreads,
      group: spec.group,
      buffers: [...buffers.values()],
      constants: spec.constants,
      threadgroup: spec.threadgroupMemory,
      order,
      count: i === 0,
      timeout: spec.timeout,
    });
    findings.push(...result.findings);
    counters ??= result.counters;
    const now = new Map<string, Uint8Array>();
    for (const [name, { index }] of buffers) {
      const bytes = result.buffers.get(index);
      if (bytes !== undefined) now.set(name, bytes);
    }
    findings.push(...wrongResults(kernel, spec, now, order));
    // A wrong program is reported already; what differs then says nothing new.
    if (i > 0 && findings.length === 0) findings.push(...orderDependence(kernel, spec, outputs, now, order));
    outputs = now;
  }
  return {
    name: spec.name,
    kernel: spec.kernel,
    findings: merged(findings),
    outputs,
    ...(counters !== undefined && { counters }),
  };
}

/** The same finding in several orders once, with the counts of all. */
function merged(findings: readonly (Finding | RunFinding)[]): (Finding | RunFinding)[] {
  const counts = new Map<string, number>();
  const key = ({ file, line, rule }: Finding) => JSON.stringify([file, line, rule]);
  for (const finding of findings)
    counts.set(key(finding), (counts.get(key(finding)) ?? 0) + ('count' in finding ? finding.count : 1));
  const first = new Map(findings.map((finding) => [key(finding), finding] as const).reverse());
  return sorted([...first.values()].map((finding) => ({ ...finding, count: counts.get(key(finding))! })));
}

function bindings(kernel: KernelSignature, spec: RunSpec): Map<string, BufferArgument> {
  const parameters = kernel.parameters.filter(({ kind }) => kind === 'buffer');
  const indexOf = (name: string): number => {
    const parameter = parameters.find((p) => p.name === name || String(p.index) === name);
    if (parameter === undefined) {
      throw new TilewrightError(
        'ERR_USAGE',
        `The kernel ${kernel.name} has no buffer ${name}; it has ${parameters.map((p) => `${p.name} (${p.index})`).join(', ')}.`,
      );
    }
    return parameter.index!;
  };
  const out = new Map<string, BufferArgument>();
  for (const [name, buffer] of Object.entries(spec.buffers)) {
    out.set(name, {
      index: indexOf(name),
      data: buffer.data,
      mustWrite: buffer.mustWrite,
      offset: buffer.offset,
      ...(buffer.sameAs !== undefined && { sameAs: indexOf(buffer.sameAs) }),
    });
  }
  return out;
}

const orderText = (order: Order): string => (typeof order === 'string' ? order : `random (seed ${order.random})`);

function wrongResults(
  kernel: KernelSignature,
  spec: RunSpec,
  outputs: ReadonlyMap<string, Uint8Array>,
  order: Order,
): RunFinding[] {
  const findings: RunFinding[] = [];
  for (const [name, { expect, type }] of Object.entries(spec.buffers)) {
    const bytes = outputs.get(name);
    if (expect === undefined || bytes === undefined) continue;
    const values = decode(bytes, type);
    const wrong: number[] = [];
    expect.values.forEach((value, i) => {
      const bound = expect.absolute + expect.relative * Math.abs(value);
      if (!(Math.abs(values[i]! - value) <= bound)) wrong.push(i);
    });
    if (wrong.length === 0) continue;
    const i = wrong[0]!;
    findings.push({
      rule: 'wrong-result',
      message: `${wrong.length} of ${expect.values.length} values of ${name} are wrong in ${orderText(order)} order; the first is ${name}[${i}] = ${values[i]}, expected ${expect.values[i]}`,
      file: kernel.file,
      line: kernel.line,
      kernel: kernel.name,
      count: wrong.length,
    });
  }
  return findings;
}

function orderDependence(
  kernel: KernelSignature,
  spec: RunSpec,
  before: ReadonlyMap<string, Uint8Array>,
  now: ReadonlyMap<string, Uint8Array>,
  order: Order,
): RunFinding[] {
  const findings: RunFinding[] = [];
  for (const [name, bytes] of now) {
    const other = before.get(name);
    if (other === undefined || spec.buffers[name]?.unordered === true || Buffer.compare(bytes, other) === 0) continue;
    findings.push({
      rule: 'order-dependent',
      message: `${name} has other contents when the threads run in ${orderText(order)} order`,
      file: kernel.file,
      line: kernel.line,
      kernel: kernel.name,
      count: 1,
    });
  }
  return findings;
}
