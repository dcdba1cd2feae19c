import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { type AbResult, runAb } from '../ab/run.ts';
import { parseSide } from '../ab/side.ts';
import { abReport } from '../report/ab.ts';
import { note, ProgressLine } from '../report/progress.ts';
import { EXIT } from './exit.ts';
import { BASELINE_OPTIONS, SESSION_OPTIONS } from './options.ts';

const OPTIONS = {
  time: SESSION_OPTIONS.time,
  rounds: SESSION_OPTIONS.rounds,
  quick: SESSION_OPTIONS.quick,
  json: SESSION_OPTIONS.json,
  threshold: BASELINE_OPTIONS.threshold,
} as const satisfies Record<string, Options>;

type Args = InferredOptionTypes<typeof OPTIONS> & { readonly a: string; readonly b: string; readonly suite: string };

export const abCommand: CommandModule<object, Args> = {
  command: 'ab <a> <b> <suite>',
  describe: 'Measure two builds, or one with two sets of options, in turns: exit code 1 if B is slower',
  builder: (yargs) =>
    yargs
      // Options of the suite go to both sides as they stand.
      .parserConfiguration({ 'unknown-options-as-args': true })
      .strict(false)
      .positional('a', { type: 'string', demandOption: true, describe: 'option=value …, a kernel family, or a folder' })
      .positional('b', { type: 'string', demandOption: true, describe: 'The same' })
      .positional('suite', { type: 'string', demandOption: true, describe: 'What is measured; its options may follow' })
      .options(OPTIONS)
      .example('$0 ab QuantGemvBatch QuantGemm matmul --format q4_k --m 4,8', 'two kernel families')
      .example("$0 ab 'isa=avx512 threads=1' 'isa=avx2 threads=1' matmul", 'two sets of options')
      .example('$0 ab ../before . matmul --format q4_k', 'two checkouts that were built'),
  handler: async (args) => {
    const { time, rounds, quick, json, threshold } = args;
    using progress = new ProgressLine();
    const abort = new AbortController();
    const interrupt = () => abort.abort();
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
    const passed = ((args as unknown as { _: readonly (string | number)[] })._ ?? []).map(String);
    const argv = [...passed.slice(passed.indexOf('ab') + 1), ...(quick ? ['--quick'] : [])];
    const results: AbResult[] = [];
    try {
      const options = {
        suite: args.suite,
        argv,
        effort: { timeMs: time, rounds: rounds ?? (quick ? 2 : undefined), quick },
        signal: abort.signal,
        progress,
        threshold,
      };
      for await (const result of runAb([parseSide(args.a), parseSide(args.b)], options)) results.push(result);
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    }
    progress.dispose();
    if (abort.signal.aborted) {
      process.exitCode = EXIT.interrupted;
      note(progress, `Interrupted: only the ${results.length} results measured until then follow.`);
    } else if (results.some(({ verdict }) => verdict === 'slower')) {
      process.exitCode = EXIT.regression;
    }
    if (results.length > 0 || json) {
      process.stdout.write(json ? `${JSON.stringify(results)}\n` : abReport(results, threshold));
    }
  },
};
