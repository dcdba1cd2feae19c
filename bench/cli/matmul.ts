import { MatmulVariant } from '../../ts/dispatch/args.ts';
import { matmulSuite } from '../suites/matmul.ts';
import { WEIGHT_FORMATS } from '../suites/weights.ts';
import { names, PRECISION, sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

const VARIANTS = Object.values(MatmulVariant).filter((variant) => variant !== MatmulVariant.Custom);

export const matmulCommand = suiteCommand({
  suite: matmulSuite,
  describe: 'Measure matmul of every format: time, GFLOP/s, GB/s and share of the limit',
  options: {
    format: names('format', 'Weights, separated by commas', WEIGHT_FORMATS, 'q4_0,q8_0,q4_k,q6_k,f16,f32'),
    m: sizes('m', 'Rows of activations', '1,8,512'),
    n: sizes('n', 'Rows of weights: columns of the result', '4096'),
    k: sizes('k', 'Length of the dot products', '14336'),
    precision: PRECISION,
    variant: { choices: VARIANTS, describe: 'Kernel family [default: what the dispatcher picks]' },
  },
  examples: [
    ['matmul --format q4_k,q6_k --m 1', 'one row: how close to the memory bandwidth'],
    ['matmul --format all --m 512 --json', 'raw samples of every format'],
  ],
  optionsOf: ({ format, m, n, k, precision, variant }) => ({
    formats: format,
    m,
    n,
    k,
    precision: precision as 'fast' | 'exact',
    variant,
  }),
});
