import { basename } from 'node:path';
import type { CandidateVerdict } from '../../../ts/dispatch/explain.ts';
import { type Comparison, compare, type Verdict } from '../../baseline/compare.ts';
import type { Baseline } from '../../baseline/file.ts';
import { hardwareDifferences, showDifferences, softwareDifferences } from '../../baseline/hardware.ts';
import type { Environment } from '../../info/environment.ts';
import type { PeakKind } from '../../limits/peak.ts';
import type { LimitKind } from '../../limits/roofline.ts';
import type { Ratio } from '../../stats/bootstrap.ts';
import type { Summary } from '../../stats/summary.ts';
import type { SuiteResult } from '../../suites/suite.ts';
import type { ReportInput } from './input.ts';
import type { Sweep } from './sweep-file.ts';

/** One result, with what files may lack filled in: everything that reports show of it. */
export interface Entry {
  /** Unique in the report, and fit to be an anchor. */
  readonly id: string;
  readonly suite: string;
  readonly case: string;
  /** The file that it is from. */
  readonly file: string;
  readonly machine: Machine;
  readonly environment: Environment;
  /** What tells marks apart: suite and format. */
  readonly series: string;
  readonly clock: 'device' | 'host';
  readonly ms: Summary;
  readonly gflops: number;
  readonly gbps: number;
  readonly limit: EntryLimit | null;
  readonly against: { readonly name: string; readonly ms: number; readonly ratio: Ratio } | null;
  readonly bandwidth: Summary;
  readonly otherLoad: number;
  readonly quick: boolean;
  /** What the dispatcher chose and why, of suites that ask it. */
  readonly choice: Choice | null;
}

export interface EntryLimit {
  readonly kind: LimitKind;
  readonly share: number;
  readonly intensity: number;
  readonly bandwidthGbps: number;
  readonly peakGops: number | null;
  readonly peakKind: PeakKind;
  readonly launchMs: number;
}

export interface Choice {
  readonly variant: string;
  readonly kernel: string;
  readonly reason: string;
  readonly candidates: readonly Pick<CandidateVerdict, 'variant' | 'kernel' | 'verdict' | 'reason'>[];
}

/** Results that were measured on the same hardware. */
export interface Machine {
  readonly name: string;
  readonly details: string;
  readonly software: string;
}

/** A row of the comparison. */
export interface Change {
  readonly case: string;
  readonly suite: string;
  readonly backend: string;
  readonly verdict: Verdict;
  readonly ratio: Ratio;
  readonly reason: string;
}

/** Two sides, and what became of each case. */
export interface Comparing {
  readonly title: string;
  readonly note: string;
  readonly changes: readonly Change[];
}

export interface Report {
  readonly title: string;
  readonly created: string;
  readonly entries: readonly Entry[];
  readonly machines: readonly Machine[];
  readonly comparisons: readonly Comparing[];
  readonly sweeps: readonly Sweep[];
  /** What a reader should know before believing the figures. */
  readonly warnings: readonly string[];
}

export interface ReportOptions {
  readonly title?: string | undefined;
  readonly baseline?: { readonly path: string; readonly content: Baseline } | undefined;
  readonly threshold: number;
}

/** Others on the machine that take more than this are worth a word. */
const NOTABLE_LOAD = 0.05;

export function buildReport(inputs: readonly ReportInput[], options: ReportOptions): Report {
  const machines = new Map<string, Machine>();
  const entries = inputs.flatMap(({ name, results }) =>
    results.map((result, i) => entryOf(result, `${name}-${i}`, name, machines)),
  );
  const numbered = entries.map((entry, i) => ({ ...entry, id: `r${i + 1}` }));
  return {
    title: options.title ?? ([...machines.values()].map(({ name }) => name).join(' · ') || 'tilewright'),
    created: new Date().toISOString(),
    entries: numbered,
    machines: [...machines.values()],
    comparisons: [...comparisonsOf(inputs, options)],
    sweeps: inputs.flatMap(({ sweeps }) => sweeps),
    warnings: warningsOf(numbered),
  };
}

function entryOf(result: SuiteResult, id: string, file: string, machines: Map<string, Machine>): Entry {
  const { environment, limit, against, ms } = result;
  const own = result as SuiteResult & Readonly<Record<string, unknown>>;
  const format = [own.format, own.dtype].find((value) => typeof value === 'string');
  const threads = finite(own.threads) ?? environment.computeUnits;
  const key = [environment.backend, environment.device, environment.architecture, threads].join('|');
  let machine = machines.get(key);
  if (machine === undefined) {
    machine = machineOf(environment, threads);
    machines.set(key, machine);
  }
  return {
    id,
    suite: result.suite,
    case: result.case,
    file,
    machine,
    environment,
    series: format === undefined ? result.suite : `${result.suite} ${format as string}`,
    clock: result.clock,
    ms,
    gflops: finite(own.gflops) ?? 0,
    gbps: finite(own.gbps) ?? 0,
    limit:
      limit === null
        ? null
        : {
            ...limit,
            peakKind: limit.peakKind === 'int8' ? 'int8' : 'f32',
          },
    against: againstOf(against),
    bandwidth: result.bandwidth,
    otherLoad: result.method.otherLoad,
    quick: result.method.quick,
    choice: choiceOf(own),
  };
}

const finite = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

function machineOf(environment: Environment, threads: number): Machine {
  const { backend, device, architecture, revision, driver } = environment;
  const units = `${threads} ${backend === 'cpu' ? (threads === 1 ? 'thread' : 'threads') : 'compute units'}`;
  return {
    name: device,
    details: `${backend}, ${architecture}, ${units}${driver === null ? '' : `, ${driver}`}`,
    software:
      `tilewright ${environment.tilewright}${revision === null ? '' : ` at ${revision}`}, Node ${environment.node}, ` +
      `${environment.platform} ${environment.system}`,
  };
}

function againstOf(against: SuiteResult['against'] | undefined): Entry['against'] {
  const { name, ms, ratio } = against ?? {};
  const known = [ms?.p50, ratio?.median, ratio?.low, ratio?.high].every((value) => finite(value) !== undefined);
  return typeof name === 'string' && known ? { name, ms: ms!.p50, ratio: ratio! } : null;
}

const VERDICTS: ReadonlySet<unknown> = new Set<CandidateVerdict['verdict']>(['chosen', 'passed over', 'refused']);

/** Fields that a schema does not promise, and files may have changed. */
function choiceOf({ variant, kernel, reason, candidates }: Readonly<Record<string, unknown>>): Choice | null {
  if (typeof variant !== 'string' || typeof kernel !== 'string' || typeof reason !== 'string') return null;
  const list = (Array.isArray(candidates) ? candidates : []) as readonly Partial<CandidateVerdict>[];
  const whole = list.filter(
    (candidate): candidate is CandidateVerdict =>
      [candidate?.variant, candidate?.kernel, candidate?.reason].every((text) => typeof text === 'string') &&
      VERDICTS.has(candidate.verdict),
  );
  return { variant, kernel, reason, candidates: whole };
}

function* comparisonsOf(inputs: readonly ReportInput[], { baseline, threshold }: ReportOptions): Generator<Comparing> {
  const percent = `${Math.round(100 * threshold)}%`;
  const results = inputs.flatMap((input) => input.results);
  if (baseline !== undefined) {
    const then = baseline.content.results;
    const pairs = results.flatMap((now) => {
      const found = then.find(
        (other) =>
          other.suite === now.suite && other.case === now.case && other.environment.backend === now.environment.backend,
      );
      return found === undefined ? [] : [[now, found] as const];
    });
    const [first] = pairs;
    const hardware = first === undefined ? [] : hardwareDifferences(first[0].environment, first[1].environment);
    const software = first === undefined ? [] : softwareDifferences(first[0].environment, first[1].environment);
    const missing = results.length - pairs.length;
    const changes = pairs.map(([now, other]): Change => {
      const comparison = compare(now, other, { threshold });
      if (hardwareDifferences(now.environment, other.environment).length === 0) return changeOf(comparison);
      return { ...changeOf(comparison), verdict: 'inconclusive', reason: 'the baseline is of other hardware' };
    });
    yield {
      title: `Against ${basename(baseline.path)}`,
      note: [
        `Now by then; threshold ${percent}. The ratio is corrected by what the probes of the machine are certain of.`,
        hardware.length > 0 ? `The hardware differs: ${showDifferences(hardware)}.` : '',
        software.length > 0 ? `Different since: ${showDifferences(software)}.` : '',
        missing > 0 ? `${missing} of the results are not in the baseline.` : '',
      ]
        .filter((line) => line !== '')
        .join(' '),
      changes: sorted(changes),
    };
  } else {
    const kept = results.flatMap((result) => {
      const { comparison } = result as { comparison?: Comparison };
      return isComparison(comparison) ? [changeOf(comparison)] : [];
    });
    if (kept.length > 0) {
      const note = 'As `--compare-baseline` found it when the results were measured.';
      yield { title: 'Against the baseline', note, changes: sorted(kept) };
    }
  }
  for (const { name, ab } of inputs) {
    if (ab.length === 0) continue;
    const [{ a, b }] = ab as [ReportInput['ab'][number]];
    yield {
      title: `A/B: ${name}`,
      note: `B's time by A's, measured in turns. A: ${a.label}. B: ${b.label}.`,
      changes: sorted(
        ab.map((result) => ({
          case: result.a.case === result.b.case ? result.a.case : `${result.a.case} | ${result.b.case}`,
          suite: result.suite,
          backend: result.a.environment?.backend ?? '',
          verdict: result.verdict,
          ratio: result.ratio,
          reason: `${result.passes} passes`,
        })),
      ),
    };
  }
}

function isComparison(value: Comparison | undefined): value is Comparison {
  const { ratio, verdict, reason } = value ?? {};
  const numbers = [ratio?.median, ratio?.low, ratio?.high].every((number) => finite(number) !== undefined);
  return (
    numbers && typeof reason === 'string' && Object.hasOwn(ORDER, verdict ?? '') && typeof value?.case === 'string'
  );
}

const changeOf = ({ suite, backend, verdict, ratio, reason, ...rest }: Comparison): Change => ({
  case: rest.case,
  suite,
  backend,
  verdict,
  ratio,
  reason,
});

/** What needs a look comes first. */
const ORDER: Readonly<Record<Verdict, number>> = { slower: 0, inconclusive: 1, faster: 2, same: 3 };

const sorted = (changes: readonly Change[]): Change[] =>
  [...changes].sort((x, y) => ORDER[x.verdict] - ORDER[y.verdict] || y.ratio.median - x.ratio.median);

function warningsOf(entries: readonly Entry[]): string[] {
  const warnings: string[] = [];
  const quick = entries.filter((entry) => entry.quick).length;
  if (quick > 0) warnings.push(`${quick} of ${entries.length} results are of quick runs: their figures mean little.`);
  const busy = entries.filter(({ otherLoad }) => otherLoad >= NOTABLE_LOAD);
  if (busy.length > 0) {
    const most = Math.max(...busy.map(({ otherLoad }) => otherLoad));
    warnings.push(
      `Other processes used up to ${Math.round(100 * most)}% of the machine during ${busy.length} of ` +
        `${entries.length} results: measure again when it is idle.`,
    );
  }
  return warnings;
}
