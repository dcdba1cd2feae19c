import { findToolchain, runTool } from './toolchain.ts';

export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/**
 * Source places of return addresses in a module: the innermost frame that is not in our own headers, so that an access
 * inside `simdgroup_load` is reported where the kernel calls it.
 */
export async function symbolize(
  module: string,
  addresses: readonly number[],
): Promise<ReadonlyMap<number, SourcePlace>> {
  const places = new Map<number, SourcePlace>();
  const unique = [...new Set(addresses)];
  if (unique.length === 0) return places;
  const tools = await findToolchain();
  const queries = unique.map((address) => `0x${(address - 1).toString(16)}`);
  const frames =
    tools.symbolizer !== undefined
      ? await byLlvm(tools.symbolizer, module, queries)
      : await byBinutils(module, queries);
  frames.forEach((stack, i) => {
    const frame = stack.find(({ file, line }) => line > 0 && file !== '' && !file.startsWith(tools.shim));
    if (frame !== undefined) places.set(unique[i]!, frame);
  });
  return places;
}

/** Addresses per call: a command line has its limits. */
const BATCH = 1000;

async function byLlvm(program: string, module: string, queries: readonly string[]): Promise<SourcePlace[][]> {
  const out: SourcePlace[][] = [];
  for (let from = 0; from < queries.length; from += BATCH) {
    const batch = queries.slice(from, from + BATCH);
    const result = await runTool(program, [`--obj=${module}`, '--output-style=JSON', '--inlines', ...batch]);
    const parsed = result.code === 0 ? (JSON.parse(result.stdout.toString('utf8')) as LlvmAnswer[]) : [];
    for (let i = 0; i < batch.length; i++) {
      out.push((parsed[i]?.Symbol ?? []).map((s) => ({ file: s.FileName, line: s.Line, column: s.Column })));
    }
  }
  return out;
}

interface LlvmAnswer {
  readonly Symbol?: readonly { readonly FileName: string; readonly Line: number; readonly Column: number }[];
}

async function byBinutils(module: string, queries: readonly string[]): Promise<SourcePlace[][]> {
  const out: SourcePlace[][] = [];
  for (let from = 0; from < queries.length; from += BATCH) {
    const result = await runTool('addr2line', ['-a', '-i', '-e', module, ...queries.slice(from, from + BATCH)]);
    for (const line of result.stdout.toString('utf8').split('\n')) {
      const frame = /^(.*):(\d+)(?: \(discriminator \d+\))?$/.exec(line);
      if (/^0x[0-9a-f]+$/.test(line)) out.push([]);
      else if (frame !== null) out[out.length - 1]?.push({ file: frame[1]!, line: Number(frame[2]) });
    }
  }
  return out;
}
