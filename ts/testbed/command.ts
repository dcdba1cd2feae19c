import { readFile, writeFile } from 'node:fs/promises';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { TilewrightError } from '../errors.ts';
import { type Baseline, baselineOf, compareBaseline } from './baseline.ts';
import { checkKernels, formatFinding, shownPath } from './check.ts';
import type { CompileOptions } from './compile.ts';
import type { Counters, RunFinding } from './dispatch.ts';
import type { Finding } from './rewrite/signature.ts';
import { type RunResult, runKernels } from './run.ts';
import { readSpec } from './spec.ts';

export interface CheckOptions extends CompileOptions {
  /** Run the kernels as this file says. */
  readonly run?: string;
  /** Compare the counters with this file, or write them to it. */
  readonly baseline?: string;
  readonly saveBaseline?: string;
}

export interface CheckReport {
  readonly file: string;
  readonly kernels: readonly string[];
  readonly findings: readonly (Finding | RunFinding)[];
  readonly runs: readonly {
    readonly name: string;
    readonly kernel: string;
    readonly counters?: Counters;
  }[];
}

/** Lint, type-check and, with a spec, run and sanitize a kernel file. */
export async function check(path: string, options: CheckOptions = {}): Promise<CheckReport> {
  // Both are read first: a mistake in them is known before any work is done.
  const specs = options.run === undefined ? [] : await readSpec(options.run);
  const baseline = options.baseline === undefined ? undefined : await readBaseline(options.baseline);
  const checked = await checkKernels(path, options);
  const kernels = checked.signature?.kernels.map(({ name }) => name) ?? [];
  const findings: (Finding | RunFinding)[] = [...checked.findings];
  let results: RunResult[] = [];
  // A file that does not pass the check may not mean what it says: it is not run.
  if (specs.length > 0 && findings.length === 0) {
    results = await runKernels(path, specs, options);
    findings.push(...results.flatMap((result) => result.findings));
    if (baseline !== undefined) findings.push(...compareBaseline(results, baseline, options.baseline!));
    if (options.saveBaseline !== undefined) {
      await writeFile(options.saveBaseline, `${JSON.stringify(baselineOf(results), null, 2)}\n`);
    }
  }
  const runs = results.map(({ name, kernel, counters }) => ({
    name,
    kernel,
    ...(counters !== undefined && { counters }),
  }));
  return { file: path, kernels, findings, runs };
}

async function readBaseline(path: string): Promise<Baseline> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Baseline;
  } catch (cause) {
    throw new TilewrightError('ERR_FILE', `The baseline ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

export function formatReport(report: CheckReport): string {
  const lines: string[] = [];
  for (const finding of report.findings) {
    lines.push(formatFinding(finding));
    if (!('count' in finding)) continue;
    const at = (triple: readonly number[]) => `[${triple.join(', ')}]`;
    if (finding.thread !== undefined && finding.threadgroup !== undefined) {
      const times = finding.count > 1 ? `, ${finding.count} times` : '';
      lines.push(`    thread ${at(finding.thread)} of threadgroup ${at(finding.threadgroup)}${times}`);
    }
    if (finding.other !== undefined)
      lines.push(`    the other place: ${shownPath(finding.other.file)}:${finding.other.line}`);
  }
  for (const { name, counters } of report.runs) {
    if (counters === undefined) continue;
    const { device, threadgroup } = counters.spaces;
    const per = (n: number, of: number) => (of === 0 ? '0' : (n / of).toFixed(2));
    lines.push(
      `${name}: device ${device.bytesRead} B read, ${device.bytesWritten} B written; ` +
        `${per(device.readLines, device.simdReads)} lines and ${per(device.readSectors, device.simdReads)} sectors per simdgroup load; ` +
        `threadgroup memory ${counters.threadgroupBytes} B, ${per(threadgroup.readBankCycles, threadgroup.simdReads)} bank cycles per load; ` +
        `${counters.threadgroupBarriers} barriers, ${counters.collectives} collectives, ${counters.mmas} MMAs`,
    );
  }
  const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
  const ran = report.runs.length === 0 ? '' : `, ${count(report.runs.length, 'run')}`;
  const found = report.findings.length === 0 ? 'clean' : count(report.findings.length, 'finding');
  lines.push(`${report.file}: ${count(report.kernels.length, 'kernel')}${ran}: ${found}`);
  return lines.join('\n');
}

export interface CheckArguments {
  file: string;
  run?: string | undefined;
  json: boolean;
  include?: string[] | undefined;
  define?: string[] | undefined;
  only?: string | undefined;
  wave?: number | undefined;
  target?: string | undefined;
  baseline?: string | undefined;
  saveBaseline?: string | undefined;
}

/** Exit codes of `tilewright check`. */
export const EXIT_CLEAN = 0;
export const EXIT_FINDINGS = 1;
export const EXIT_USAGE = 2;

/** `tilewright check kernel.metal [--run spec.json] [--json]`. */
export const checkCommand: CommandModule<object, CheckArguments> = {
  command: 'check <file>',
  describe: 'Lint a Metal or HIP kernel file and, with --run, run and sanitize it on this machine',
  builder: (yargs: Argv<object>) =>
    yargs
      .positional('file', { type: 'string', demandOption: true, describe: 'kernel file, .metal or .hip' })
      .option('run', { type: 'string', describe: 'spec.json: what to run the kernels on' })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON document instead of text' })
      .option('include', { alias: 'I', type: 'string', array: true, describe: 'directory for #include' })
      .option('define', { alias: 'D', type: 'string', array: true, describe: 'macro, NAME or NAME=VALUE' })
      .option('only', { type: 'string', describe: 'regular expression: only kernels with such a name' })
      .option('wave', { type: 'number', choices: [32, 64], describe: 'HIP: lanes of a wave; the target decides' })
      .option('target', { type: 'string', describe: 'HIP: GPU to emulate; gfx90a at wave 64, gfx1100 at 32' })
      .option('baseline', { type: 'string', describe: 'JSON file with counters that the runs have to match' })
      .option('save-baseline', { type: 'string', describe: 'write the counters to this file' }),
  handler: async (args: ArgumentsCamelCase<CheckArguments>) => {
    process.exitCode = await runCheckCommand(args, process.stdout, process.stderr);
  },
};

interface Output {
  write(text: string): unknown;
}

/** The command without the process: gives its exit code. */
export async function runCheckCommand(args: CheckArguments, out: Output, errors: Output): Promise<number> {
  try {
    const report = await check(args.file, {
      ...(args.run !== undefined && { run: args.run }),
      ...(args.include !== undefined && { include: args.include }),
      ...(args.define !== undefined && { define: args.define }),
      ...(args.only !== undefined && { only: pattern(args.only) }),
      ...(args.wave !== undefined && { wave: args.wave === 32 ? (32 as const) : (64 as const) }),
      ...(args.target !== undefined && { target: args.target }),
      ...(args.baseline !== undefined && { baseline: args.baseline }),
      ...(args.saveBaseline !== undefined && { saveBaseline: args.saveBaseline }),
    });
    out.write(`${args.json ? JSON.stringify(report) : formatReport(report)}\n`);
    return report.findings.length === 0 ? EXIT_CLEAN : EXIT_FINDINGS;
  } catch (error) {
    if (!(error instanceof TilewrightError)) throw error;
    if (args.json) out.write(`${JSON.stringify({ error: { code: error.code, message: error.message } })}\n`);
    else errors.write(`${error.message}\n`);
    return EXIT_USAGE;
  }
}

function pattern(source: string): RegExp {
  try {
    return new RegExp(source);
  } catch (cause) {
    throw new TilewrightError('ERR_USAGE', `--only ${source}: ${(cause as Error).message}`, { cause });
  }
}
