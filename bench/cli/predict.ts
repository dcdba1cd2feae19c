import type { ArgumentsCamelCase, CommandModule, InferredOptionTypes, Options } from 'yargs';
import { CHIPS, type Chip, chipNamed, type PlainMatmul } from '../../ts/cost/index.ts';
import { QuantFormat, readGGUFHeader, readRemoteHeader, TilewrightError } from '../../ts/index.ts';
import { isUrl } from '../info/model.ts';
import { checkModel } from '../predict/check.ts';
import { type LeastTimes, leastTimes } from '../predict/machine.ts';
import { predictMatmul } from '../predict/matmul.ts';
import { modelOfFile, predictModel } from '../predict/model.ts';
import { MODEL_NAMES, type ModelName, publishedModel } from '../predict/models.ts';
import { checkReport, chipsReport, leastTimesReport, matmulReport, modelReport } from '../predict/report.ts';
import { names, number, PRECISION, sizes } from './options.ts';

const WEIGHTS = [
  'f32',
  'f16',
  'bf16',
  ...QuantFormat.list().flatMap(({ id, name }) => (id === undefined ? [] : [name])),
];

const OPTIONS = {
  device: {
    type: 'string',
    default: 'm2-max',
    describe:
      'Chips, separated by commas, or all; --list shows them. cpu and hip are this machine’s, by measured limits',
    coerce: (value: unknown): (Chip | 'cpu' | 'hip')[] => {
      const wanted = String(value).toLowerCase().split(',');
      return wanted.flatMap((word): readonly (Chip | 'cpu' | 'hip')[] => {
        const name = word.trim();
        if (name === 'all') return CHIPS;
        return name === 'cpu' || name === 'hip' ? [name] : [chipNamed(name)];
      });
    },
  },
  format: names('format', 'Types of weights', WEIGHTS, 'q4_0'),
  m: sizes('m', 'Rows of a', '1,8,512'),
  n: sizes('n', 'Rows of the weights', '4096'),
  k: sizes('k', 'Columns of a and of the weights', '4096'),
  precision: PRECISION,
  model: {
    type: 'string',
    describe: `Tokens a second of a model in place of single matmuls: ${MODEL_NAMES.join(', ')}, or a GGUF file or its address`,
  },
  prompt: number('prompt', 'Tokens of the prompt of --model', 1, 512),
  context: number('context', 'Tokens that decoding looks back on', 1, 64),
  top: number('top', 'Configurations that are shown', 1, 5),
  list: { type: 'boolean', default: false, describe: 'Show the chips that are known' },
  check: { type: 'boolean', default: false, describe: 'Compare the model with published figures' },
  quick: { type: 'boolean', default: false, describe: 'Of cpu and hip: short probes, to see that everything works' },
  json: { type: 'boolean', default: false, describe: 'Print JSON' },
} as const satisfies Record<string, Options>;
type PredictArgs = InferredOptionTypes<typeof OPTIONS>;

/** `bench predict`: what matmuls and models should take on Apple GPUs, without one. */
export const predictCommand: CommandModule<object, PredictArgs> = {
  command: 'predict',
  describe: 'Estimate matmuls and models on Apple GPUs, without a device: what a sweep would try first',
  builder: (yargs) =>
    yargs
      .options(OPTIONS)
      .example('$0 predict --device m3-max --format q4_k --m 1,16', 'configurations in the order a sweep tries them')
      .example('$0 predict --device all --model llama3-8b', 'tokens a second')
      .example('$0 predict --check', 'how far off the model is') as never,
  handler: run,
};

const print = (json: boolean, value: unknown, text: () => string): void => {
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : text());
};

async function run(args: ArgumentsCamelCase<PredictArgs>): Promise<void> {
  if (args.list) return print(args.json, CHIPS, chipsReport);
  if (args.check) {
    const check = checkModel();
    return print(args.json, check, () => checkReport(check));
  }
  const chips = args.device.filter((device) => typeof device === 'object');
  if (args.model !== undefined) {
    if (chips.length < args.device.length) {
      throw new TilewrightError(
        'ERR_USAGE',
        '--model needs chips: of cpu and hip no more is known than single matmuls.',
      );
    }
    const models = await modelsOf(args.model, args.format);
    const predicted = chips.flatMap((chip) =>
      models.map((model) => predictModel(model, chip, args.prompt, args.context)),
    );
    return print(args.json, predicted, () => predicted.map(modelReport).join('\n'));
  }
  const matmuls = matmulsOf(args);
  const predicted = chips.flatMap((chip) => matmuls.map((matmul) => predictMatmul(matmul, chip)));
  const here: LeastTimes[] = [];
  for (const device of args.device) {
    if (typeof device === 'string') here.push(...(await leastTimes(device, matmuls, args.quick)));
  }
  print(args.json, [...predicted, ...here], () =>
    [...predicted.map((matmul) => matmulReport(matmul, args.top)), ...here.map(leastTimesReport)].join('\n'),
  );
}

/** Every combination of what was asked for. */
const matmulsOf = ({ m, n, k, format, precision }: PredictArgs): PlainMatmul[] =>
  format.flatMap((weights) =>
    n.flatMap((columns) =>
      k.flatMap((depth) => m.map((rows) => ({ m: rows, n: columns, k: depth, weights, precision }))),
    ),
  );

/** A published model in each type of weights, or one that is in a file. */
async function modelsOf(model: string, formats: readonly string[]) {
  const name = model.toLowerCase();
  if ((MODEL_NAMES as readonly string[]).includes(name)) {
    return formats.map((format) => publishedModel(name as ModelName, format));
  }
  if (!isUrl(model) && !/[./\\]/.test(model)) {
    throw new TilewrightError('ERR_USAGE', `No model is called "${model}". Known: ${MODEL_NAMES.join(', ')}.`);
  }
  return [modelOfFile(await (isUrl(model) ? readRemoteHeader(model) : readGGUFHeader(model)))];
}
