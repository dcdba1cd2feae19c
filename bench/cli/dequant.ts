import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { DEQUANT_FORMATS, dequantSuite } from '../suites/dequant.ts';
import { names, SESSION_OPTIONS, sizes } from './options.ts';
import { runSuite } from './run-suite.ts';

const TARGETS = ['f32', 'f16', 'bf16'] as const;

const OPTIONS = {
  format: names('format', 'Weights, separated by commas', DEQUANT_FORMATS, 'all'),
  n: sizes('n', 'Rows of weights', '4096'),
  k: sizes('k', 'Weights in a row', '14336'),
  to: { choices: TARGETS, default: 'f32', describe: 'Type of the decoded weights' },
  ...SESSION_OPTIONS,
} as const satisfies Record<string, Options>;

export const dequantCommand: CommandModule<object, InferredOptionTypes<typeof OPTIONS>> = {
  command: 'dequant',
  describe: 'Measure decoding of block formats: time, GB/s read and written, share of the limit',
  builder: (yargs) => yargs.options(OPTIONS),
  handler: (args) =>
    runSuite(dequantSuite, args, () => ({
      formats: args.format,
      n: args.n,
      k: args.k,
      to: args.to as (typeof TARGETS)[number],
    })),
};
