import { join } from 'node:path';
import { TilewrightError } from '../errors.ts';
import type { CompiledModule } from './compile.ts';
import { readable as cxx } from './diagnostics.ts';
import type { Finding, KernelSignature } from './rewrite/signature.ts';
import { symbolize } from './symbolize.ts';
import { buildRuntime, runTool } from './toolchain.ts';

export type Triple = readonly [number, number, number];
export type Order = 'forward' | 'reverse' | { readonly random: number };

export interface BufferArgument {
  readonly index: number;
  /** Contents, or just the size of an output: then it starts as NaN bits. `null` is a null pointer (HIP). */
  readonly data: Uint8Array | { readonly bytes: number } | null;
  /** Where the kernel's pointer points to, in bytes from the start of the memory. */
  readonly offset?: number;
  /** Every byte of it has to be written. */
  readonly mustWrite?: boolean;
  /** Shares the memory of the buffer with that index (an operation in place). */
  readonly sameAs?: number;
}

export interface DispatchRequest {
  readonly kernel: string;
  readonly grid: Triple;
  /** The grid counts threads, as `dispatchThreads` does; else threadgroups. */
  readonly gridInThreads?: boolean;
  readonly group: Triple;
  readonly buffers: readonly BufferArgument[];
  /** Function constants, by name or by index. */
  readonly constants?: Readonly<Record<string, number | boolean>>;
  /** Bytes of threadgroup memory by `[[threadgroup(n)]]`. */
  readonly threadgroup?: readonly number[];
  readonly order?: Order;
  /** Count traffic (needs a module with hooks). */
  readonly count?: boolean;
  /** Processor seconds until a kernel counts as hanging. */
  readonly timeout?: number;
}

export interface RunFinding extends Finding {
  /** The other place that takes part: a race's earlier access, the barrier that others wait at. */
  readonly other?: { readonly file: string; readonly line: number };
  readonly threadgroup?: Triple;
  readonly thread?: Triple;
  /** How often it happened. */
  readonly count: number;
}

export interface SpaceCounters {
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly reads: number;
  readonly writes: number;
  readonly simdReads: number;
  readonly simdWrites: number;
}
export interface MemoryCounters extends SpaceCounters {
  readonly readLines: number;
  readonly readSectors: number;
  readonly writeLines: number;
  readonly writeSectors: number;
}
export interface ThreadgroupCounters extends SpaceCounters {
  readonly readBankCycles: number;
  readonly writeBankCycles: number;
}
export interface BufferCounters {
  readonly index: number;
  readonly bytes: number;
  readonly distinctBytesRead: number;
  readonly distinctBytesWritten: number;
  /** Sectors of 32 bytes, each counted once per threadgroup that touches it. */
  readonly threadgroupSectors: number;
}
/** Accesses of one line of the source, of whole simdgroups. */
export interface SiteCounters {
  readonly file: string;
  readonly line: number;
  readonly space: 'device' | 'constant' | 'threadgroup';
  readonly write: boolean;
  readonly buffer: number;
  readonly accesses: number;
  readonly bytes: number;
  readonly lines: number;
  readonly sectors: number;
  readonly bankCycles: number;
}
export interface Counters {
  readonly threadgroups: number;
  readonly threads: number;
  readonly simdgroups: number;
  readonly threadgroupBytes: number;
  readonly threadgroupBarriers: number;
  readonly simdgroupBarriers: number;
  readonly collectives: number;
  readonly mmas: number;
  readonly matrixLoads: number;
  readonly matrixStores: number;
  readonly atomics: number;
  readonly spaces: {
    readonly device: MemoryCounters;
    readonly constant: MemoryCounters;
    readonly threadgroup: ThreadgroupCounters;
  };
  readonly buffers: readonly BufferCounters[];
  readonly sites: readonly SiteCounters[];
}

export interface DispatchResult {
  readonly findings: readonly RunFinding[];
  /** Contents of the buffers that the kernel may write, by index. */
  readonly buffers: ReadonlyMap<number, Uint8Array>;
  readonly counters?: Counters;
}

const FLAG_READ_ONLY = 1;
const FLAG_CONSTANT = 2;
const FLAG_OUTPUT = 4;
const FLAG_MUST_WRITE = 8;
const FLAG_NULL = 16;
const OPTION_COUNT = 2;
const DEFAULT_TIMEOUT = 60;

interface RawFinding {
  readonly rule: string;
  readonly message: string;
  readonly pc?: number;
  readonly otherPc?: number;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly threadgroup?: Triple;
  readonly thread?: Triple;
  readonly count: number;
}
interface RawReport {
  readonly refused?: string;
  readonly findings: readonly RawFinding[];
  readonly counters?: Omit<Counters, 'sites'> & {
    readonly sites: readonly (Omit<SiteCounters, 'file' | 'line'> & { pc: number })[];
  };
}

/** Run one dispatch in a process of its own. */
export async function dispatch(module: CompiledModule, request: DispatchRequest): Promise<DispatchResult> {
  const kernel = module.signature.kernels.find(({ name }) => name === request.kernel);
  if (kernel === undefined) {
    const names = module.signature.kernels.map(({ name }) => name);
    throw new TilewrightError(
      'ERR_KERNEL_UNKNOWN',
      `There is no kernel ${request.kernel}; there are: ${names.join(', ')}.`,
      {
        details: { kernel: request.kernel, kernels: names },
      },
    );
  }
  const problem = missing(kernel, request);
  if (problem !== undefined) return refusal(kernel, problem);
  const runtime = await buildRuntime();
  const { header, input, outputs } = encode(module, kernel, request);
  const result = await runTool(join(runtime, 'simt-runner'), [], {
    input: [Buffer.from(header), ...input],
    timeoutMs: (timeoutOf(request) + 30) * 1000,
  });
  const end = result.stdout.indexOf(10);
  if (result.code !== 0 || end === -1) {
    const reason = result.stderr.trim() || 'it was killed';
    if (result.code === 2) throw new TilewrightError('ERR_KERNEL_LAUNCH', `The runner refuses: ${reason}.`);
    return {
      findings: [{ ...place(kernel), rule: 'crash', message: `the kernel took its process down: ${reason}`, count: 1 }],
      buffers: new Map(),
    };
  }
  const report = JSON.parse(result.stdout.toString('utf8', 0, end)) as RawReport;
  if (report.refused !== undefined) return refusal(kernel, report.refused);
  const buffers = new Map<number, Uint8Array>();
  let at = end + 1;
  for (const { index, bytes } of outputs) {
    buffers.set(index, new Uint8Array(result.stdout.subarray(at, at + bytes)));
    at += bytes;
  }
  return { ...(await readable(module, kernel, report)), buffers };
}

const timeoutOf = (request: DispatchRequest) => request.timeout ?? DEFAULT_TIMEOUT;

const place = (kernel: KernelSignature) => ({ file: kernel.file, line: kernel.line, kernel: kernel.name });

function refusal(kernel: KernelSignature, reason: string): DispatchResult {
  return { findings: [{ ...place(kernel), rule: 'launch', message: reason, count: 1 }], buffers: new Map() };
}

/** What the launch lacks, as Metal's API validation would say it. */
function missing(kernel: KernelSignature, request: DispatchRequest): string | undefined {
  const bound = new Set(request.buffers.map(({ index }) => index));
  for (const parameter of kernel.parameters) {
    if (parameter.kind === 'buffer' && parameter.condition === undefined && !bound.has(parameter.index!)) {
      return `buffer ${parameter.index} (${parameter.name}) is not bound`;
    }
    if (parameter.kind === 'threadgroup' && !((request.threadgroup?.[parameter.index!] ?? 0) > 0)) {
      return `threadgroup memory ${parameter.index} (${parameter.name}) has no length`;
    }
  }
  return undefined;
}

function encode(module: CompiledModule, kernel: KernelSignature, request: DispatchRequest) {
  const lines = [`module ${module.path}`];
  for (const [key, value] of Object.entries(request.constants ?? {})) {
    const constant = module.signature.constants.find(({ name, id }) => name === key || String(id) === key);
    if (constant === undefined) {
      throw new TilewrightError('ERR_KERNEL_LAUNCH', `There is no function constant ${key} in ${kernel.file}.`);
    }
    lines.push(`constant ${constant.id} ${constantHex(constant.type, constant.bytes, value)}`);
  }
  const order = request.order ?? 'forward';
  const [code, seed] = order === 'forward' ? [0, 0] : order === 'reverse' ? [1, 0] : [2, order.random];
  lines.push(
    `kernel ${kernel.name}`,
    `grid ${request.grid.join(' ')} ${request.gridInThreads === true ? 1 : 0}`,
    `group ${request.group.join(' ')}`,
    `order ${code} ${seed}`,
    `options ${request.count === true ? OPTION_COUNT : 0} ${kernel.maxThreads ?? 0} ${Math.ceil(1000 * timeoutOf(request))}`,
  );
  if (request.threadgroup !== undefined) lines.push(`threadgroup ${request.threadgroup.join(' ')}`);
  const writable = (index: number) =>
    kernel.parameters.some((p) => p.kind === 'buffer' && p.index === index && p.readOnly !== true);
  const input: Uint8Array[] = [];
  const outputs: { index: number; bytes: number }[] = [];
  for (const buffer of request.buffers) {
    const parameter = kernel.parameters.find((p) => p.kind === 'buffer' && p.index === buffer.index);
    const shared = request.buffers.some((b) => b.sameAs === buffer.index && writable(b.index));
    const readOnly = !writable(buffer.index) && !shared;
    if (buffer.data === null) {
      lines.push(`buffer ${buffer.index} ${FLAG_NULL} 0 -1 0 ${parameter?.name ?? '-'}`);
      continue;
    }
    const bytes = buffer.data instanceof Uint8Array ? buffer.data.byteLength : buffer.data.bytes;
    const output = !(buffer.data instanceof Uint8Array);
    // A buffer that is written through another index has to be device memory, whatever this parameter says.
    const constant = parameter?.space === 'constant' && readOnly;
    const flags =
      (readOnly ? FLAG_READ_ONLY : 0) |
      (constant ? FLAG_CONSTANT : 0) |
      (output ? FLAG_OUTPUT : 0) |
      (buffer.mustWrite === true ? FLAG_MUST_WRITE : 0);
    lines.push(
      `buffer ${buffer.index} ${flags} ${bytes} ${buffer.sameAs ?? -1} ${buffer.offset ?? 0} ${parameter?.name ?? '-'}`,
    );
    if (buffer.sameAs !== undefined) continue;
    if (buffer.data instanceof Uint8Array) input.push(buffer.data);
    if (!readOnly) outputs.push({ index: buffer.index, bytes });
  }
  lines.push('end', '');
  return { header: lines.join('\n'), input, outputs };
}

function constantHex(type: string, bytes: number, value: number | boolean): string {
  const view = new DataView(new ArrayBuffer(8));
  if (type === 'float') view.setFloat32(0, Number(value), true);
  else if (/^(half|bfloat)|[234]$/.test(type)) {
    throw new TilewrightError('ERR_KERNEL_LAUNCH', `Function constants of type ${type} cannot be set here; use float.`);
  } else if (bytes === 8) view.setBigInt64(0, BigInt(value), true);
  else view.setInt32(0, Number(value), true);
  return Buffer.from(view.buffer, 0, bytes).toString('hex');
}

async function readable(
  module: CompiledModule,
  kernel: KernelSignature,
  report: RawReport,
): Promise<Pick<DispatchResult, 'findings' | 'counters'>> {
  const addresses = report.findings.flatMap(({ pc, otherPc }) => [pc, otherPc]).filter((pc) => pc !== undefined);
  const places = await symbolize(module.path, [...addresses, ...(report.counters?.sites ?? []).map(({ pc }) => pc)]);
  const findings = report.findings.map(({ pc, otherPc, file, line, column, ...raw }): RunFinding => {
    // UBSan knows the source; its position may be in our headers, then the frames around it count.
    const symbol = pc === undefined ? undefined : places.get(pc);
    const at = symbol ?? (file !== undefined && line !== undefined ? { file, line } : undefined) ?? place(kernel);
    const other = otherPc === undefined ? undefined : places.get(otherPc);
    return {
      ...raw,
      message: cxx(raw.message),
      kernel: kernel.name,
      file: at.file,
      line: at.line,
      ...(column !== undefined && symbol === undefined && { column }),
      ...(other !== undefined && { other: { file: other.file, line: other.line } }),
    };
  });
  if (report.counters === undefined) return { findings };
  return { findings, counters: { ...report.counters, sites: joinSites(report.counters.sites, places) } };
}

/** Sites of one source line and kind together, in the order of the source. */
function joinSites(
  sites: NonNullable<RawReport['counters']>['sites'],
  places: ReadonlyMap<number, { file: string; line: number }>,
): SiteCounters[] {
  const joined = new Map<string, SiteCounters>();
  for (const { pc, ...site } of sites) {
    const at = places.get(pc) ?? { file: '?', line: 0 };
    const key = JSON.stringify([at.file, at.line, site.space, site.write, site.buffer]);
    const before = joined.get(key);
    joined.set(key, {
      ...site,
      file: at.file,
      line: at.line,
      accesses: site.accesses + (before?.accesses ?? 0),
      bytes: site.bytes + (before?.bytes ?? 0),
      lines: site.lines + (before?.lines ?? 0),
      sectors: site.sectors + (before?.sectors ?? 0),
      bankCycles: site.bankCycles + (before?.bankCycles ?? 0),
    });
  }
  return [...joined.values()].sort(
    (a, b) =>
      a.file.localeCompare(b.file) ||
      a.line - b.line ||
      a.space.localeCompare(b.space) ||
      Number(a.write) - Number(b.write) ||
      a.buffer - b.buffer,
  );
}
