import { Ajv } from 'ajv';

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

export function isSweep(content: unknown): boolean {
  return (content as { format?: unknown } | null)?.format === SWEEP_FORMAT;
}

/** What is wrong with the content of a sweep file; null if nothing is. */
export function sweepProblem(content: unknown): string | null {
  const ajv = new Ajv({ allowUnionTypes: true });
  if (ajv.validate(SWEEP_SCHEMA, content)) return null;
  return `${ajv.errorsText(ajv.errors, { dataVar: 'the file' })}.`;
}
