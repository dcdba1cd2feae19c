import { DISPATCH_STEPS, dispatchSuite } from '../suites/dispatch.ts';
import { WEIGHT_FORMATS } from '../suites/weights.ts';
import { names, PRECISION, sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

export const dispatchCommand = suiteCommand({
  suite: dispatchSuite,
  describe: 'Measure what choosing a kernel costs in JavaScript: select, explain, encode',
  options: {
    step: names('step', 'What is called', DISPATCH_STEPS, 'all'),
    format: names('format', 'Weights, separated by commas', WEIGHT_FORMATS, 'q4_k,f32'),
    m: sizes('m', 'Rows of activations', '1,64'),
    precision: PRECISION,
  },
  optionsOf: ({ step, format, m, precision }) => ({
    steps: step,
    formats: format,
    m,
    precision: precision as 'fast' | 'exact',
  }),
});
