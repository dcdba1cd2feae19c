/** Names the kind of file; a change that old readers would misread raises the version. */
export const BASELINE_FORMAT = 'tilewright-bench-baseline';
export const BASELINE_VERSION = 1;

const text = { type: 'string' } as const;
const textOrNull = { type: ['string', 'null'] } as const;
const positive = { type: 'number', exclusiveMinimum: 0 } as const;
const atLeastZero = { type: 'number', minimum: 0 } as const;
const count = { type: 'integer', minimum: 1 } as const;

/** An object that has all of these, and may have more: later versions of the package may tell more. */
function object<const P extends Record<string, unknown>>(properties: P) {
  return { type: 'object', properties, required: Object.keys(properties) };
}

const interval = object({ low: atLeastZero, high: atLeastZero });

/** A distribution: its figures, and every sample. */
const summary = object({
  p5: atLeastZero,
  p50: positive,
  p95: positive,
  p99: positive,
  min: atLeastZero,
  max: positive,
  mean: positive,
  mad: atLeastZero,
  interval,
  outliers: { type: 'integer', minimum: 0 },
  batch: count,
  samples: { type: 'array', minItems: 1, items: atLeastZero },
});

const reading = object({ bandwidth: positive, clock: { type: ['number', 'null'] } });

const environment = object({
  tilewright: text,
  revision: textOrNull,
  node: text,
  platform: text,
  system: text,
  cpu: text,
  cores: count,
  memoryBytes: positive,
  backend: text,
  device: text,
  architecture: text,
  computeUnits: count,
  driver: textOrNull,
  date: text,
});

const limit = object({
  kind: { enum: ['memory', 'compute', 'launch'] },
  share: atLeastZero,
  intensity: atLeastZero,
  bandwidthGbps: positive,
  peakGops: { type: ['number', 'null'] },
  launchMs: atLeastZero,
});

const result = object({
  suite: text,
  case: text,
  clock: { enum: ['device', 'host'] },
  ms: summary,
  wallMs: summary,
  bandwidth: summary,
  clockGops: { anyOf: [{ type: 'null' }, summary] },
  limit: { anyOf: [{ type: 'null' }, limit] },
  method: object({
    rounds: count,
    batch: count,
    copies: count,
    quick: { type: 'boolean' },
    otherLoad: { type: 'number', minimum: 0, maximum: 1 },
    before: reading,
    after: reading,
  }),
  environment,
});

/** JSON Schema of a baseline. */
export const BASELINE_SCHEMA = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'A baseline of tilewright bench',
  ...object({
    format: { const: BASELINE_FORMAT },
    version: { const: BASELINE_VERSION },
    created: text,
    results: { type: 'array', minItems: 1, items: result },
  }),
} as const;
