import { EPILOGUE_FORMS, epilogueSuite } from '../suites/epilogue.ts';
import { WEIGHT_FORMATS } from '../suites/weights.ts';
import { names, PRECISION, sizes } from './options.ts';
import { suiteCommand } from './suite-command.ts';

export const epilogueCommand = suiteCommand({
  suite: epilogueSuite,
  describe: 'Measure the fused forms of matmul (bias, activation, residual, gate) against their parts',
  options: {
    form: names('form', 'What is fused', EPILOGUE_FORMS, 'all'),
    format: names('format', 'Weights, separated by commas', WEIGHT_FORMATS, 'q4_k,f16'),
    m: sizes('m', 'Rows of activations', '1,512'),
    n: sizes('n', 'Rows of weights: columns of the result', '4096'),
    k: sizes('k', 'Length of the dot products', '1024'),
    precision: PRECISION,
  },
  optionsOf: ({ form, format, m, n, k, precision }) => ({
    forms: form,
    formats: format,
    m,
    n,
    k,
    precision: precision as 'fast' | 'exact',
  }),
});
