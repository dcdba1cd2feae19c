import type { InferredOptionTypes, Options } from 'yargs';
import { TilewrightError } from '../../ts/errors.ts';

/** A list as it is given: `--m 1,8`, `--m 1 --m 8`. */
function items(value: unknown): string[] {
  return [value].flat().flatMap((part) =>
    String(part)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
}

/** An option that takes whole numbers from 1, separated by commas. */
export function sizes(name: string, describe: string, fallback: string) {
  return {
    type: 'string',
    describe,
    default: fallback,
    coerce: (value: unknown): number[] => {
      const numbers = items(value).map(Number);
      if (numbers.length > 0 && numbers.every((number) => Number.isSafeInteger(number) && number >= 1)) return numbers;
      throw new TilewrightError(
        'ERR_USAGE',
        `--${name} takes whole numbers from 1, separated by commas, not "${value}".`,
      );
    },
  } as const satisfies Options;
}

/** An option that takes names of a list, or `all`, separated by commas; upper and lower case are the same. */
export function names<const T extends string>(name: string, describe: string, known: readonly T[], fallback: string) {
  return {
    type: 'string',
    describe: `${describe}: ${known.join(', ')}, or all`,
    default: fallback,
    coerce: (value: unknown): T[] => {
      const wanted = items(value).map((item) => item.toLowerCase());
      const unknown = wanted.find((item) => item !== 'all' && !(known as readonly string[]).includes(item));
      if (unknown !== undefined || wanted.length === 0) {
        throw new TilewrightError(
          'ERR_USAGE',
          `--${name} does not know "${unknown ?? ''}". Known: ${known.join(', ')}.`,
        );
      }
      return wanted.includes('all') ? [...known] : ([...new Set(wanted)] as T[]);
    },
  } as const satisfies Options;
}

function wholeNumber(name: string, least: number, value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new TilewrightError('ERR_USAGE', `--${name} takes a whole number from ${least}, not "${value}".`);
}

/** An option that takes one whole number and may be left out. */
export function optionalNumber(name: string, describe: string, least: number) {
  return {
    type: 'number',
    describe,
    coerce: (value: unknown): number | undefined => (value === undefined ? undefined : wholeNumber(name, least, value)),
  } as const satisfies Options;
}

/** An option that takes one whole number. */
export function number(name: string, describe: string, least: number, fallback: number) {
  return {
    type: 'number',
    describe,
    default: fallback,
    coerce: (value: unknown): number => wholeNumber(name, least, value),
  } as const satisfies Options;
}

/** How block formats are multiplied. */
export const PRECISION = {
  choices: ['fast', 'exact'] as const,
  default: 'fast',
  describe: 'Of block formats: activations rounded to 8 bits, or kept as floats',
} as const satisfies Options;

/** An option that takes a share, as percent: `10%`, or `10`. */
export function percent(name: string, describe: string, fallback: string) {
  return {
    type: 'string',
    describe,
    default: fallback,
    coerce: (value: unknown): number => {
      const [, digits] = /^(\d+(?:\.\d+)?)%?$/.exec(String(value)) ?? [];
      if (digits !== undefined) return Number(digits) / 100;
      throw new TilewrightError('ERR_USAGE', `--${name} takes a percentage such as 10%, not "${value}".`);
    },
  } as const satisfies Options;
}

const BACKENDS = ['auto', 'cpu', 'metal', 'hip'] as const;
export type BackendChoice = (typeof BACKENDS)[number];

/** What every suite takes. */
export const SESSION_OPTIONS = {
  backend: {
    type: 'string',
    describe: `Where kernels run, separated by commas: ${BACKENDS.join(', ')}, or all that work here`,
    default: 'auto',
    coerce: (value: unknown): readonly BackendChoice[] | 'all' => {
      const wanted = items(value).map((item) => item.toLowerCase());
      if (wanted.includes('all')) return 'all';
      const unknown = wanted.find((item) => !(BACKENDS as readonly string[]).includes(item));
      if (unknown === undefined && wanted.length > 0) return [...new Set(wanted)] as BackendChoice[];
      throw new TilewrightError(
        'ERR_USAGE',
        `--backend does not know "${unknown ?? ''}". Known: ${BACKENDS.join(', ')}.`,
      );
    },
  },
  threads: optionalNumber('threads', 'CPU worker threads [default: all cores of the process]', 1),
  isa: { type: 'string', describe: 'CPU instruction set [default: the best that works here]' },
  time: number('time', 'Milliseconds of measuring per result', 1, 1000),
  rounds: optionalNumber('rounds', 'Rounds of measuring per result, in place of --time', 1),
  quick: { type: 'boolean', default: false, describe: 'Only see that everything works: small probes, no warm-up' },
  seed: number('seed', 'Of the random data', 0, 1),
  json: { type: 'boolean', default: false, describe: 'Print the results as JSON, with every sample' },
} as const satisfies Record<string, Options>;
export type SessionArgs = InferredOptionTypes<typeof SESSION_OPTIONS>;

/** What compares a run with an earlier one. */
export const BASELINE_OPTIONS = {
  'save-baseline': { type: 'string', describe: 'Write the results to this file, to compare later ones with' },
  'compare-baseline': { type: 'string', describe: 'Compare with the results in this file; exit code 1 if slower' },
  threshold: percent('threshold', 'Slower by more than this is a regression', '10%'),
  retries: number('retries', 'Measure again so often where the machine changed', 0, 3),
  'allow-other-hardware': { type: 'boolean', default: false, describe: 'Compare with a baseline of another machine' },
} as const satisfies Record<string, Options>;
export type BaselineArgs = InferredOptionTypes<typeof BASELINE_OPTIONS>;

/** What is written beside the results. */
export const OUTPUT_OPTIONS = {
  report: { type: 'string', describe: 'Write an HTML page of the results to this file; Markdown, if it ends in .md' },
  capture: { type: 'string', describe: 'Metal: record one operation of each case into a .gputrace in this folder' },
  trace: { type: 'string', describe: 'Write what JavaScript and the devices did to this file, for ui.perfetto.dev' },
} as const satisfies Record<string, Options>;
export type OutputArgs = Partial<InferredOptionTypes<typeof OUTPUT_OPTIONS>>;
