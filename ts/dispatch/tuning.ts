/** Numbers of rows up to which one family is preferred over the next: what every back end's policy has. */
export type CrossOver = 'gemvRows' | 'exactGemvRows' | 'quantGemvRows';

/**
 * Policy: what should run, where several kernels may. The cross-overs are numbers of rows of `a`, so a choice can only
 * move from GEMV to GEMM as rows are added; a back end may have further entries, which its `limits` name. An entry may
 * be given for one format of weights beside the one for all: `quantGemvRows.q4_k` counts before `quantGemvRows`.
 */
export interface TuningEntry {
  /** Rows up to which plain weights are streamed by a GEMV instead of tiled by a GEMM. */
  readonly gemvRows: number;
  /** Rows up to which quantized weights are decoded to f32 row by row instead of tile by tile (`exact`). */
  readonly exactGemvRows: number;
  /** Rows up to which quantized weights are streamed by a GEMV instead of unpacked tile by tile (`fast`). */
  readonly quantGemvRows: number;
  readonly [name: string]: number;
}

/** Smallest and largest value of an entry that the kernels can serve. */
export type TuningLimits = Readonly<Record<string, readonly [number, number]>>;

/** Where the number of an entry comes from. */
export type TuningOrigin = 'default' | 'measured' | 'given';
type Numbers = Readonly<Record<string, number | undefined>>;

const ORIGINS = new WeakMap<TuningEntry, ReadonlyMap<string, TuningOrigin>>();

/**
 * The device's defaults under what was measured on this machine under what the caller gives. An entry replaces those
 * below it that are more special: who gives `quantGemvRows` means every format.
 */
export function layerTuning(defaults: TuningEntry, measured: Numbers, given: Numbers): TuningEntry {
  const entries = new Map<string, number>();
  const origins = new Map<string, TuningOrigin>();
  const layers = [
    ['default', defaults],
    ['measured', measured],
    ['given', given],
  ] as const;
  for (const [origin, layer] of layers) {
    const own = Object.entries(layer).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
    for (const [name] of own) {
      for (const below of entries.keys()) {
        if (below !== name && !below.startsWith(`${name}.`)) continue;
        entries.delete(below);
        origins.delete(below);
      }
    }
    for (const [name, value] of own) {
      entries.set(name, value);
      origins.set(name, origin);
    }
  }
  const tuning = Object.freeze(Object.fromEntries(entries)) as TuningEntry;
  ORIGINS.set(tuning, origins);
  return tuning;
}

export const originOf = (tuning: TuningEntry, name: string): TuningOrigin =>
  ORIGINS.get(tuning)?.get(name) ?? 'default';

/** Name of the most special entry there is: `name.q4_k.c1`, then `name.q4_k`, then `name`. */
export function entryName(tuning: TuningEntry, name: string, ...keys: readonly string[]): string {
  for (let count = keys.length; count > 0; count--) {
    const special = [name, ...keys.slice(0, count)].join('.');
    if (tuning[special] !== undefined) return special;
  }
  return name;
}

const TOLD = { default: '', measured: ', tuned on this machine', given: '' } as const satisfies Record<
  TuningOrigin,
  string
>;

/** `quantGemvRows.q4_k = 9, tuned on this machine` */
export function showEntry(tuning: TuningEntry, name: string): string {
  return `${name} = ${tuning[name]}${TOLD[originOf(tuning, name)]}`;
}

/** What is wrong with a value, or null. */
export function entryProblem(name: string, value: unknown, limits: TuningLimits): string | null {
  const limit = Object.hasOwn(limits, name) ? limits[name] : undefined;
  if (limit === undefined) return `tuning.${name} is not known here. Known: ${Object.keys(limits).join(', ')}.`;
  const [low, high] = limit;
  if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return null;
  return `tuning.${name} must be a whole number from ${low} to ${high}, not ${String(value)}.`;
}

/** Limits of entries, and the same for each of some formats. */
export function perFormat(limits: TuningLimits, formats: readonly string[]): TuningLimits {
  return Object.fromEntries([
    ...Object.entries(limits),
    ...formats.flatMap((format) =>
      Object.entries(limits).map(([name, limit]) => [`${name}.${format}`, limit] as const),
    ),
  ]);
}
