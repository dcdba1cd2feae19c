import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { tuningPath } from '../../ts/dispatch/tuning-table.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { note, ProgressLine } from '../report/progress.ts';
import { WEIGHT_FORMATS, weightBytes } from '../suites/weights.ts';
import { rankerOf } from '../sweep/rank.ts';
import { planReport, sweepReport } from '../sweep/report.ts';
import { type PlannedStudy, Sweep, type SweepResult } from '../sweep/run.ts';
import type { SweepShape } from '../sweep/shape.ts';
import { EXIT } from './exit.ts';
import { openDevices, sessionOn } from './open-session.ts';
import { names, number, PRECISION, SESSION_OPTIONS, sizes } from './options.ts';

const { backend, threads, isa, quick, seed, json } = SESSION_OPTIONS;
const OPTIONS = {
  format: names('format', 'Weights, separated by commas', WEIGHT_FORMATS, 'q4_0,q8_0,q4_k,q6_k,f16,f32'),
  m: sizes('m', 'Rows of activations', '1,2,4,6,8,12,16,64,512'),
  n: sizes('n', 'Rows of weights: columns of the result', '4096'),
  k: sizes('k', 'Length of the dot products', '4096'),
  precision: PRECISION,
  study: { type: 'string', default: '', describe: 'Only studies whose names contain this: Rows, blocks, threads …' },
  exhaustive: {
    type: 'boolean',
    default: false,
    describe: 'Measure every legal configuration to the end: neither the cost model nor the first rounds leave any out',
  },
  resume: {
    type: 'boolean',
    default: true,
    describe: 'Go on where a sweep of this device was stopped',
  },
  fresh: { type: 'boolean', default: false, describe: 'Forget what a stopped sweep measured: --no-resume' },
  'dry-run': { type: 'boolean', default: false, describe: 'Only list what would be measured, in which order' },
  rounds: number('rounds', 'Passes of the final check of the default against the tuned choice', 1, 40),
  ...{ backend, threads, isa, quick, seed },
  json: { ...json, describe: 'Print what was measured and decided as JSON' },
} as const satisfies Record<string, Options>;
type Args = InferredOptionTypes<typeof OPTIONS>;

export const sweepCommand: CommandModule<object, Args> = {
  command: 'sweep',
  describe: 'Find the fastest kernels, blocks and tiles of this machine, and keep them for MatmulDispatcher',
  builder: (yargs) =>
    yargs
      .options(OPTIONS)
      .example('$0 sweep --format q4_k --n 4096,14336', 'one format at two widths')
      .example('$0 sweep --dry-run', 'what would be measured'),
  handler: sweep,
};

/** @throws ERR_USAGE if the table is turned off */
function tableFile(): string {
  const path = tuningPath();
  if (path !== null) return path;
  throw new TilewrightError(
    'ERR_USAGE',
    'There is no place for the tuning table: TILEWRIGHT_TUNING is off, or there is no home folder. Set ' +
      'TILEWRIGHT_TUNING to a file.',
  );
}

function shapesOf({ format, m, n, k, precision }: Args): SweepShape[] {
  for (const name of format) {
    for (const size of k) {
      try {
        weightBytes(name, 1, size);
      } catch (cause) {
        throw new TilewrightError('ERR_USAGE', (cause as Error).message, { cause });
      }
    }
  }
  return format.flatMap((name) =>
    n.flatMap((columns) =>
      k.flatMap((depth) =>
        m.map((rows) => ({
          format: name,
          precision: QuantFormat.has(name) ? precision : ('exact' as const),
          m: rows,
          n: columns,
          k: depth,
        })),
      ),
    ),
  );
}

async function sweep(args: Args): Promise<void> {
  const table = tableFile();
  const shapes = shapesOf(args);
  using progress = new ProgressLine();
  const abort = new AbortController();
  const interrupt = () => abort.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const found: (SweepResult | { readonly device: string; readonly studies: readonly PlannedStudy[] })[] = [];
  const reports: string[] = [];
  try {
    const session = { ...args, time: 1, rounds: undefined };
    for await (const device of openDevices(session)) {
      const skipped = (what: string, why: string) => note(progress, `skipped ${what}: ${why}`);
      using opened = sessionOn(device, session, { signal: abort.signal, progress, skipped });
      using run = new Sweep(opened, {
        shapes,
        only: args.study,
        exhaustive: args.exhaustive,
        fresh: args.fresh || !args.resume,
        passes: args.rounds,
        ranker: rankerOf(device.capabilities),
        table,
        save: !args.quick,
      });
      if (args['dry-run']) {
        const studies = run.plan();
        const { deviceName } = device.capabilities;
        found.push({ device: deviceName, studies });
        reports.push(planReport(`${deviceName} (${device.backend})`, studies));
        continue;
      }
      const result = await run.run();
      found.push(result);
      reports.push(sweepReport(result));
    }
  } catch (error) {
    if (!abort.signal.aborted || error !== abort.signal.reason) throw error;
    process.exitCode = EXIT.interrupted;
    note(progress, 'Interrupted: what was measured is kept, and the next `bench sweep` goes on from there.');
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
  progress.dispose();
  process.stdout.write(args.json ? `${JSON.stringify(found)}\n` : reports.join('\n'));
}
