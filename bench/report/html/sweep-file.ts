import { Ajv } from 'ajv';
import type { SweepResult } from '../../sweep/run.ts';
import { shapeName } from '../../sweep/shape.ts';

/** Names the kind of file. */
export const SWEEP_FORMAT = 'tilewright-bench-sweep';
export const SWEEP_VERSION = 1;

/** What a report needs of a sweep; there may be more in the file. */
export interface Sweep {
  readonly format: typeof SWEEP_FORMAT;
  readonly version: typeof SWEEP_VERSION;
  /** What it ran on, for people. */
  readonly device?: string;
  readonly results: readonly SweepPoint[];
}

export type SweepValue = string | number | boolean | null;

/** One configuration that was tried on one problem. */
export interface SweepPoint {
  /** The problem: `{ format, m, n, k }`, say. Points of the same one share a map. */
  readonly shape: Readonly<Record<string, SweepValue>>;
  /** What was tried: `{ tileM: 32, tileN: 64, simdgroups: 4 }`, say. */
  readonly configuration: Readonly<Record<string, SweepValue>>;
  /** Median milliseconds; null if it was not measured. */
  readonly ms: number | null;
  /** Why it was not measured, or whatever there is to say. */
  readonly note?: string;
}

const fields = {
  type: 'object',
  minProperties: 1,
  additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
} as const;

/** JSON Schema of a sweep, as far as reports read it. */
export const SWEEP_SCHEMA = {
  type: 'object',
  required: ['format', 'version', 'results'],
  properties: {
    format: { const: SWEEP_FORMAT },
    version: { const: SWEEP_VERSION },
    device: { type: 'string' },
    results: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['shape', 'configuration', 'ms'],
        properties: {
          shape: fields,
          configuration: fields,
          ms: { type: ['number', 'null'], exclusiveMinimum: 0 },
          note: { type: 'string' },
        },
      },
    },
  },
} as const;

const isPlain = (content: unknown): boolean => (content as { format?: unknown } | null)?.format === SWEEP_FORMAT;

/** What of `bench sweep --json` is looked at. */
type Found = Pick<SweepResult, 'key' | 'measurements' | 'studies'>;

const isFound = (content: unknown): content is Found[] =>
  Array.isArray(content) &&
  content.length > 0 &&
  content.every((each: Partial<Found> | null) => Array.isArray(each?.measurements) && Array.isArray(each?.studies));

/** Sweeps of a file's content, yet to be checked; null if it holds none. */
export function sweepsOf(content: unknown): unknown[] | null {
  if (isPlain(content)) return [content];
  return isFound(content) ? content.map(fromFound) : null;
}

/** Measurements taken again, to confirm a choice, belong to their study. */
const AGAIN = /, again$/;
const DEFAULT = 'default';

/** A sweep of this package: entries that are not named have their default. */
function fromFound({ key, measurements, studies }: Found): Sweep {
  const points = new Map<string, SweepPoint>();
  const shapes = new Map(measurements.map(({ shape }) => [shapeName(shape), shape]));
  const refused = studies.flatMap(({ study, refused }) =>
    (refused ?? []).flatMap(({ shape, configuration, reason }) => {
      const found = shapes.get(shape);
      return found === undefined ? [] : [{ study, shape: found, configuration, ms: null, note: reason }];
    }),
  );
  const all = [...refused, ...measurements.map((each) => ({ ...each, study: String(each.study).replace(AGAIN, '') }))];
  const names = new Map<string, Set<string>>();
  for (const { study, configuration } of all) {
    const own = names.get(study) ?? new Set();
    for (const name of Object.keys(configuration)) own.add(name);
    names.set(study, own);
  }
  for (const point of all) {
    const { study, configuration, ms } = point;
    const note = 'note' in point ? { note: point.note } : {};
    const whole = [...names.get(study)!].map((name) => [name, configuration[name] ?? DEFAULT] as const);
    const { format, precision, m, n, k } = point.shape;
    const shape = { study, format, precision, m, n, k };
    // What was measured later was measured longer.
    points.set(JSON.stringify([shape, whole]), {
      shape,
      configuration: whole.length > 0 ? Object.fromEntries(whole) : { [DEFAULT]: true },
      ms,
      ...note,
    });
  }
  const { device, backend } = key ?? {};
  return {
    format: SWEEP_FORMAT,
    version: SWEEP_VERSION,
    device: `${device} (${backend})`,
    results: [...points.values()],
  };
}

/** What is wrong with the content of a sweep file; null if nothing is. */
export function sweepProblem(content: unknown): string | null {
  const ajv = new Ajv({ allowUnionTypes: true });
  if (ajv.validate(SWEEP_SCHEMA, content)) return null;
  return `${ajv.errorsText(ajv.errors, { dataVar: 'the file' })}.`;
}
