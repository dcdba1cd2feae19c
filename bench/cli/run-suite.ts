import { setMaxListeners } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TilewrightError } from '../../ts/errors.ts';
import { DeviceTrace, saveTrace } from '../../ts/profile/trace.ts';
import { type Comparison, compare, MAX_OTHER_LOAD } from '../baseline/compare.ts';
import { type Baseline, loadBaseline, saveBaseline } from '../baseline/file.ts';
import { hardwareDifferences, showDifferences, softwareDifferences } from '../baseline/hardware.ts';
import { type Environment, environmentOf } from '../info/environment.ts';
import { comparisonReport } from '../report/comparison.ts';
import { note, ProgressLine } from '../report/progress.ts';
import { suiteReport } from '../report/suite.ts';
import { measureCase } from '../suites/run.ts';
import type { Session } from '../suites/session.ts';
import type { Case, Suite, SuiteResult } from '../suites/suite.ts';
import { EXIT } from './exit.ts';
import { openDevices, sessionOn } from './open-session.ts';
import type { BaselineArgs, OutputArgs, SessionArgs } from './options.ts';
import { reportOf } from './report.ts';

/** States of a shared machine last for seconds: so long is waited before measuring again, and twice as long each time. */
const PAUSE_MS = 1000;

/** What a session may have besides; tests plant extra work. */
export type Planted = Pick<Session, 'extraWork'>;

/** Run a suite and print what it found. Ctrl-C ends it early: what was measured until then is printed. */
export async function runSuite<Options, Fields>(
  suite: Suite<Options, Fields>,
  args: SessionArgs & BaselineArgs & OutputArgs,
  options: Options,
  planted: Planted = {},
): Promise<void> {
  checkOptions(suite, options);
  const path = args['compare-baseline'];
  const baseline = path === undefined ? null : await loadBaseline(path);
  using progress = new ProgressLine();
  const abort = new AbortController();
  setMaxListeners(0, abort.signal); // every submit in flight listens
  const interrupt = () => abort.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const results: (SuiteResult & Fields)[] = [];
  const traces: DeviceTrace[] = [];
  const comparisons: Comparison[] = [];
  const skipped = (what: string, why: string) => note(progress, `skipped ${what}: ${why}`);
  try {
    for await (const device of openDevices(args)) {
      if (baseline !== null) checkHardware(environmentOf(device), baseline, suite.name, args);
      using opened = sessionOn(device, args, { signal: abort.signal, progress, skipped });
      const trace = args.trace === undefined ? undefined : new DeviceTrace(device);
      if (trace !== undefined) traces.push(trace);
      const session = { ...opened, trace, ...planted };
      if (args.capture !== undefined && !device.captures)
        note(progress, `The ${device.backend} back end has no captures.`);
      for await (const subject of suite.cases(session, options)) {
        if (args.capture !== undefined && device.captures)
          await captureCase(session, suite.name, subject, args.capture);
        const { result, comparison } = await measured(session, suite, subject, baseline, args);
        results.push(result);
        if (comparison !== null) comparisons.push(comparison);
      }
    }
  } catch (error) {
    if (!abort.signal.aborted || error !== abort.signal.reason) throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  progress.dispose();
  if (args.trace !== undefined && traces.length > 0) await writeTrace(args.trace, traces, progress);
  if (abort.signal.aborted) {
    process.exitCode = EXIT.interrupted;
    note(progress, `Interrupted: only the ${results.length} results measured until then follow.`);
  } else if (results.length === 0) {
    throw new TilewrightError('ERR_USAGE', 'No kernel takes what was asked for; nothing was measured.');
  } else {
    process.exitCode = exitCode(comparisons);
    const target = args['save-baseline'];
    if (target !== undefined) await saveBaseline(target, results);
  }
  const byCase = new Map(comparisons.map((comparison) => [keyOf(comparison.backend, comparison.case), comparison]));
  const told = results.map((result) => {
    const comparison = byCase.get(keyOf(result.environment.backend, result.case));
    return comparison === undefined ? result : { ...result, comparison };
  });
  if (args.report !== undefined && results.length > 0) {
    const markdown = args.report.endsWith('.md');
    await reportOf(suite.name, told, { output: args.report, markdown, threshold: args.threshold });
  }
  if (args.json) {
    process.stdout.write(`${JSON.stringify(told)}\n`);
    return;
  }
  process.stdout.write(suiteReport(suite, results));
  if (baseline !== null && results.length > 0) {
    const base = baseline.results.find((other) => other.suite === suite.name);
    const software = base === undefined ? [] : softwareDifferences(results[0]!.environment, base.environment);
    const fresh = results.length - comparisons.length;
    const told = { path: path!, threshold: args.threshold, fresh, software: showDifferences(software) };
    process.stdout.write(comparisonReport(comparisons, told));
  }
}

async function writeTrace(path: string, traces: readonly DeviceTrace[], progress: ProgressLine): Promise<void> {
  await saveTrace(path, traces);
  const dropped = traces.reduce((sum, trace) => sum + trace.dropped, 0);
  if (dropped > 0) note(progress, `The trace is full: ${dropped} later launches and spans are not in it.`);
}

/** Records one operation of a case, before it is measured: what may not be recorded is told at once. */
async function captureCase<Fields>(
  session: Session,
  suite: string,
  { name, operations }: Case<Fields>,
  folder: string,
) {
  const [operation] = operations;
  if (operation === undefined || !('commands' in operation)) return;
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${`${suite} ${name}`.replace(/[^\w.=-]+/g, '-')}.gputrace`);
  await session.device.capture(path, () => session.device.submit(operation.commands, { signal: session.signal }));
}

/**
 * Measures a case; again, a few times, where the machine was not what it was when the baseline was measured, or others
 * were at work. What is looked at are probes and load, never the times themselves, so this favours neither verdict.
 */
async function measured<Options, Fields>(
  session: Session,
  suite: Suite<Options, Fields>,
  subject: Case<Fields>,
  baseline: Baseline | null,
  args: BaselineArgs,
): Promise<{ result: SuiteResult & Fields; comparison: Comparison | null }> {
  const saved = args['save-baseline'] !== undefined;
  for (let attempt = 0; ; attempt++) {
    const result = await measureCase(session, suite, subject);
    const then = baseline === null ? undefined : counterpart(baseline, result);
    const comparison = then === undefined ? null : compare(result, then, args);
    const useless = comparison?.verdict === 'inconclusive' || (saved && result.method.otherLoad > MAX_OTHER_LOAD);
    if (!useless || result.method.quick || attempt === args.retries) return { result, comparison };
    session.progress.update(`${subject.name}: ${comparison?.reason ?? 'others are at work'}; measuring again`);
    const pause = PAUSE_MS * 2 ** attempt;
    await sleep(pause, undefined, { signal: session.signal }).catch(() => session.signal.throwIfAborted());
  }
}

const keyOf = (backend: string, name: string) => `${backend} ${name}`;

/** The baseline's result of the same case on the same back end. */
const counterpart = (baseline: Baseline, result: SuiteResult): SuiteResult | undefined =>
  baseline.results.find(
    (other) =>
      other.suite === result.suite &&
      other.case === result.case &&
      other.environment.backend === result.environment.backend,
  );

/** @throws ERR_USAGE if the baseline's results for this back end are of other hardware, unless that is allowed */
function checkHardware(now: Environment, baseline: Baseline, suite: string, args: BaselineArgs): void {
  const then = baseline.results.find(
    (other) => other.suite === suite && other.environment.backend === now.backend,
  )?.environment;
  if (then === undefined || args['allow-other-hardware']) return;
  const found = hardwareDifferences(now, then);
  if (found.length === 0) return;
  throw new TilewrightError(
    'ERR_USAGE',
    `The baseline is of other hardware (${showDifferences(found)}). Save one here, or give --allow-other-hardware.`,
    { details: { differences: found } },
  );
}

/** A regression counts more than what is not known. */
function exitCode(comparisons: readonly Comparison[]): number {
  if (comparisons.some(({ verdict }) => verdict === 'slower')) return EXIT.regression;
  return comparisons.some(({ verdict }) => verdict === 'inconclusive') ? EXIT.inconclusive : EXIT.ok;
}

/** What is wrong with the options is a matter of usage, whichever part of the package says so. */
export function checkOptions<Options, Fields>(suite: Suite<Options, Fields>, options: Options): void {
  try {
    suite.check?.(options);
  } catch (cause) {
    if (!(cause instanceof TilewrightError)) throw cause;
    throw new TilewrightError('ERR_USAGE', cause.message, { cause });
  }
}
