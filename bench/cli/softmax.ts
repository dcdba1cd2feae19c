import { SOFTMAX_DTYPES, SOFTMAX_LAYOUTS, SOFTMAX_MASKS, softmaxSuite } from '../suites/softmax.ts';
import { names, sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

export const softmaxCommand = suiteCommand({
  suite: softmaxSuite,
  describe: 'Measure softmax along rows and, strided, along columns, with and without a mask',
  options: {
    rows: sizes('rows', 'Vectors that are normalised', '4096'),
    length: sizes('length', 'Their length', '128,4096'),
    dtype: names('dtype', 'Of x and the result', SOFTMAX_DTYPES, 'f32,f16'),
    along: names('along', 'Neighbours in memory, or elements a row apart', SOFTMAX_LAYOUTS, 'all'),
    mask: names('mask', 'None, one row for all, or one of the shape of x', SOFTMAX_MASKS, 'none'),
  },
  optionsOf: ({ rows, length, dtype, along, mask }) => ({ rows, length, dtypes: dtype, layouts: along, masks: mask }),
});
