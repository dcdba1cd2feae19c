import { openDevice } from '../../ts/backends/open.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { Limits } from '../limits/limits.ts';
import { note, ProgressLine } from '../report/progress.ts';
import { suiteReport } from '../report/suite.ts';
import type { Suite, SuiteResult } from '../suites/suite.ts';
import { EXIT } from './exit.ts';
import type { SessionArgs } from './options.ts';

/**
 * Run a suite and print what it found. Ctrl-C ends it early: what was measured until then is printed.
 * @param optionsOf  the suite's options; it gets a function that tells the user something beside the results.
 */
export async function runSuite<Options, Result extends SuiteResult>(
  suite: Suite<Options, Result>,
  args: SessionArgs,
  optionsOf: (note: (text: string) => void) => Options,
): Promise<void> {
  using progress = new ProgressLine();
  const options = optionsOf((text) => note(progress, text));
  checkOptions(suite, options);
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const results: Result[] = [];
  try {
    await using device = await openDevice({
      backend: args.backend as 'auto' | 'cpu' | 'metal' | 'hip',
      threads: args.threads,
      isa: args.isa,
    });
    using limits = new Limits(device, abort.signal);
    const session = {
      device,
      limits,
      effort: { timeMs: args.time, rounds: args.rounds },
      seed: args.seed,
      signal: abort.signal,
      progress,
    };
    for await (const result of suite.run(session, options)) results.push(result);
  } catch (error) {
    if (!abort.signal.aborted || error !== abort.signal.reason) throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  progress.dispose();
  if (abort.signal.aborted) {
    process.exitCode = EXIT.interrupted;
    note(progress, `Interrupted: only the ${results.length} results measured until then follow.`);
  } else if (results.length === 0) {
    throw new TilewrightError('ERR_USAGE', 'No kernel takes what was asked for; nothing was measured.');
  }
  process.stdout.write(args.json ? `${JSON.stringify(results)}\n` : suiteReport(suite, results));
}

/** What is wrong with the options is a matter of usage, whichever part of the package says so. */
function checkOptions<Options, Result extends SuiteResult>(suite: Suite<Options, Result>, options: Options): void {
  try {
    suite.check(options);
  } catch (cause) {
    if (!(cause instanceof TilewrightError)) throw cause;
    throw new TilewrightError('ERR_USAGE', cause.message, { cause });
  }
}
