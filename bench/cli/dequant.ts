import { DEQUANT_FORMATS, dequantSuite } from '../suites/dequant.ts';
import { names, sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

const TARGETS = ['f32', 'f16', 'bf16'] as const;

export const dequantCommand = suiteCommand({
  suite: dequantSuite,
  describe: 'Measure decoding of block formats: time, GB/s read and written, share of the limit',
  options: {
    format: names('format', 'Weights, separated by commas', DEQUANT_FORMATS, 'all'),
    n: sizes('n', 'Rows of weights', '4096'),
    k: sizes('k', 'Weights in a row', '14336'),
    to: { choices: TARGETS, default: 'f32', describe: 'Type of the decoded weights' },
  },
  optionsOf: ({ format, n, k, to }) => ({ formats: format, n, k, to: to as (typeof TARGETS)[number] }),
});
