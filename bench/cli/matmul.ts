import type { CommandModule, InferredOptionTypes, Options } from 'yargs';
import { MatmulVariant } from '../../ts/dispatch/args.ts';
import { matmulSuite } from '../suites/matmul.ts';
import { WEIGHT_FORMATS } from '../suites/weights.ts';
import { names, SESSION_OPTIONS, sizes } from './options.ts';
import { runSuite } from './run-suite.ts';

const VARIANTS = Object.values(MatmulVariant).filter((variant) => variant !== MatmulVariant.Custom);

const OPTIONS = {
  format: names('format', 'Weights, separated by commas', WEIGHT_FORMATS, 'q4_0,q8_0,q4_k,q6_k,f16,f32'),
  m: sizes('m', 'Rows of activations', '1,8,512'),
  n: sizes('n', 'Rows of weights: columns of the result', '4096'),
  k: sizes('k', 'Length of the dot products', '14336'),
  precision: {
    choices: ['fast', 'exact'] as const,
    default: 'fast',
    describe: 'Of block formats: activations rounded to 8 bits, or kept as floats',
  },
  variant: { choices: VARIANTS, describe: 'Kernel family [default: what the dispatcher picks]' },
  ...SESSION_OPTIONS,
} as const satisfies Record<string, Options>;

export const matmulCommand: CommandModule<object, InferredOptionTypes<typeof OPTIONS>> = {
  command: 'matmul',
  describe: 'Measure matmul of every format: time, GFLOP/s, GB/s and share of the limit',
  builder: (yargs) =>
    yargs
      .options(OPTIONS)
      .example('$0 matmul --format q4_k,q6_k --m 1', 'one row: how close to the memory bandwidth')
      .example('$0 matmul --format all --m 512 --json', 'raw samples of every format'),
  handler: (args) =>
    runSuite(matmulSuite, args, (note) => ({
      formats: args.format,
      m: args.m,
      n: args.n,
      k: args.k,
      precision: args.precision as 'fast' | 'exact',
      variant: args.variant,
      skipped: (what, why) => note(`skipped ${what}: ${why}`),
    })),
};
