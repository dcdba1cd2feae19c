import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { changeTuningTable, readTuningTable, tuningPath } from '../../ts/dispatch/tuning-table.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { tableReport } from '../sweep/report.ts';

const OPTIONS = {
  show: { type: 'boolean', describe: 'Show what was measured on this machine, and what it gains' },
  reset: { type: 'boolean', describe: 'Forget it: the defaults are used again' },
  path: { type: 'boolean', describe: 'Print where the table is' },
  backend: { choices: ['cpu', 'metal', 'hip'] as const, describe: 'Only of this back end' },
  json: { type: 'boolean', default: false, describe: 'Print JSON' },
} as const satisfies Record<string, Options>;
type Args = InferredOptionTypes<typeof OPTIONS>;

/** `tilewright tune`: the tuning table that `bench sweep` writes. */
export const tuneCommand: CommandModule<object, Args> = {
  command: 'tune',
  describe: 'Show or forget what `bench sweep` found for the devices of this machine',
  builder: (yargs) =>
    yargs
      .options(OPTIONS)
      .conflicts('show', ['reset', 'path'])
      .conflicts('reset', 'path')
      .example('$0 tune --show', 'entries, when they were measured, and the gain at each shape')
      .example('$0 tune --reset --backend cpu', 'forget what is known of the CPU'),
  handler: tune,
};

async function tune({ reset, path: place, backend, json }: Args): Promise<void> {
  const path = tuningPath();
  if (path === null) {
    throw new TilewrightError(
      'ERR_USAGE',
      'The tuning table is turned off: TILEWRIGHT_TUNING is off, or there is no home.',
    );
  }
  if (place) {
    process.stdout.write(json ? `${JSON.stringify({ path })}\n` : `${path}\n`);
    return;
  }
  const mine = (of: string) => backend === undefined || of === backend;
  if (reset) {
    let count = 0;
    await changeTuningTable(path, (records) => {
      const kept = records.filter(({ key }) => !mine(key.backend));
      count = records.length - kept.length;
      return kept;
    });
    process.stdout.write(
      json
        ? `${JSON.stringify({ path, removed: count })}\n`
        : `Forgot ${count} device${count === 1 ? '' : 's'}: ${path}\n`,
    );
    return;
  }
  const records = (readTuningTable(path)?.records ?? []).filter(({ key }) => mine(key.backend));
  process.stdout.write(json ? `${JSON.stringify({ path, records })}\n` : tableReport(path, records));
}
