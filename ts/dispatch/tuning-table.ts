// The tuning table: what `bench sweep` measured on this machine, kept in the user's cache folder, one record per device.
// Checked by hand: a schema validator costs tens of milliseconds to load, which every program that multiplies would pay.
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '#native-target';
import { packageVersion } from '../backends/native.ts';
import type { Capabilities } from '../device/backend.ts';
import { TilewrightError } from '../errors.ts';
import { entryProblem, type TuningLimits } from './tuning.ts';

export const TUNING_FORMAT = 'tilewright-tuning';
export const TUNING_VERSION = 1;
/** Code of the warnings about tables that are not used. */
export const TUNING_WARNING = 'TILEWRIGHT_TUNING';

/** What a record holds for: it is used where all of it is the same. */
export interface TuningKey {
  readonly backend: string;
  /** Instruction set or GPU architecture. */
  readonly architecture: string;
  readonly device: string;
  /** Driver of a GPU, or the system that it comes with; null for the CPU. */
  readonly driver: string | null;
  /** CPU worker threads, or GPU cores. */
  readonly computeUnits: number;
  /** Version of the package, whose kernels were measured. */
  readonly tilewright: string;
}

/** The default and the tuned choice, measured in turns at the end of a sweep. */
export interface TuningEvidence {
  readonly case: string;
  /** Entries of the record that this shape's kernels read. */
  readonly entries: readonly string[];
  readonly defaultMs: number;
  readonly tunedMs: number;
  /** Tuned by default: the median of the ratios of the passes, with its 95% interval. */
  readonly ratio: { readonly median: number; readonly low: number; readonly high: number };
}

export interface TuningRecord {
  readonly key: TuningKey;
  readonly created: string;
  /** What replaces the device's defaults. */
  readonly tuning: Readonly<Record<string, number>>;
  readonly evidence: readonly TuningEvidence[];
}

export interface TuningTable {
  readonly format: typeof TUNING_FORMAT;
  readonly version: typeof TUNING_VERSION;
  readonly records: readonly TuningRecord[];
}

/** Where the table is: TILEWRIGHT_TUNING if that names a file; null if it says `off`, or if there is no home. */
export function tuningPath(): string | null {
  const chosen = process.env.TILEWRIGHT_TUNING;
  if (chosen === 'off') return null;
  if (chosen) return resolve(chosen);
  const folder = cacheFolder();
  return folder === null ? null : join(folder, 'tuning.json');
}

export function tuningKey(capabilities: Capabilities): TuningKey {
  const { backend, architecture, deviceName, computeUnits, driver } = capabilities;
  // Drivers that have no version of their own come with the system.
  const system = backend === 'cpu' ? null : `${process.platform} ${release()}`;
  return {
    backend,
    architecture,
    device: deviceName,
    driver: driver ?? system,
    computeUnits,
    tilewright: packageVersion,
  };
}

const KEY_NAMES = ['backend', 'architecture', 'device', 'driver', 'computeUnits', 'tilewright'] as const;
export const sameKey = (x: TuningKey, y: TuningKey): boolean => KEY_NAMES.every((name) => x[name] === y[name]);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);

function recordProblem(record: unknown): string | null {
  if (!isObject(record)) return 'is no object';
  const { key, created, tuning, evidence } = record;
  if (!isObject(key)) return 'has no key';
  for (const name of KEY_NAMES) {
    const value = key[name];
    const right = name === 'computeUnits' ? isNumber(value) : typeof value === 'string';
    if (!right && !(name === 'driver' && value === null)) return `has a key without ${name}`;
  }
  if (typeof created !== 'string') return 'has no date';
  if (!isObject(tuning) || !Object.values(tuning).every(isNumber)) return 'has a tuning that is not made of numbers';
  const shown = (entry: unknown) =>
    isObject(entry) &&
    typeof entry.case === 'string' &&
    Array.isArray(entry.entries) &&
    entry.entries.every((name) => typeof name === 'string') &&
    isNumber(entry.defaultMs) &&
    isNumber(entry.tunedMs) &&
    isObject(entry.ratio) &&
    [entry.ratio.median, entry.ratio.low, entry.ratio.high].every(isNumber);
  return Array.isArray(evidence) && evidence.every(shown) ? null : 'has evidence that is not of measurements';
}

/** What is wrong with the content of a table's file; null if nothing is. */
export function tableProblem(content: unknown): string | null {
  if (!isObject(content) || content.format !== TUNING_FORMAT) return `it does not say "format": "${TUNING_FORMAT}"`;
  if (content.version !== TUNING_VERSION) {
    return `it has version ${String(content.version)}, and this tilewright reads version ${TUNING_VERSION}`;
  }
  if (!Array.isArray(content.records)) return 'it has no list of records';
  for (const [i, record] of content.records.entries()) {
    const problem = recordProblem(record);
    if (problem !== null) return `record ${i} ${problem}`;
  }
  return null;
}

/**
 * The table of a file; null if there is no file.
 * @throws ERR_FILE if it cannot be read or is none
 */
export function readTuningTable(path: string): TuningTable | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new TilewrightError('ERR_FILE', `The tuning table ${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new TilewrightError('ERR_FILE', `The tuning table ${path} is damaged: ${(cause as Error).message}.`, {
      cause,
    });
  }
  const problem = tableProblem(content);
  if (problem === null) return content as TuningTable;
  throw new TilewrightError('ERR_FILE', `${path} is no tuning table for this version: ${problem}.`);
}

/** The file as this process read it last. */
let known: { readonly path: string; readonly stamp: string; readonly table: TuningTable | null } | null = null;
const warned = new Set<string>();

function warn(message: string): void {
  if (warned.has(message)) return;
  warned.add(message);
  process.emitWarning(`${message} \`tilewright tune --reset\` removes it; the defaults are used.`, {
    type: 'TilewrightWarning',
    code: TUNING_WARNING,
  });
}

function currentTable(path: string): TuningTable | null {
  // The whole cost where there is no table.
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return null;
  const stamp = `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
  if (known?.path === path && known.stamp === stamp) return known.table;
  let table: TuningTable | null = null;
  try {
    table = readTuningTable(path);
  } catch (error) {
    warn((error as Error).message);
  }
  known = { path, stamp, table };
  return table;
}

/**
 * What was measured for a device on this machine; null if nothing was. Never throws: a table that cannot be used gives a
 * warning of code {@link TUNING_WARNING}, once.
 */
export function tunedFor(capabilities: Capabilities, limits: TuningLimits): TuningRecord | null {
  const path = tuningPath();
  if (path === null) return null;
  try {
    const table = currentTable(path);
    if (table === null || table.records.length === 0) return null;
    const key = tuningKey(capabilities);
    const record = table.records.find((one) => sameKey(one.key, key));
    if (record === undefined) return null;
    for (const [name, value] of Object.entries(record.tuning)) {
      const problem = entryProblem(name, value, limits);
      if (problem === null) continue;
      warn(`The tuning table ${path} does not fit this device: ${problem.split('. Known')[0]}.`.replace('..', '.'));
      return null;
    }
    return record;
  } catch (error) {
    warn(`The tuning table ${path} cannot be read: ${(error as Error).message}.`);
    return null;
  }
}

/** A lock that is older was left behind by a process that died: whoever holds it reads and writes one small file. */
const STALE_MS = 10_000;
const LOCK_WAIT_MS = 20_000;

async function locked<T>(path: string, action: () => T): Promise<T> {
  const lock = `${path}.lock`;
  const begin = performance.now();
  for (;;) {
    try {
      closeSync(openSync(lock, 'wx'));
      break;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      const held = statSync(lock, { throwIfNoEntry: false });
      if (held !== undefined && Date.now() - held.mtimeMs > STALE_MS) rmSync(lock, { force: true });
      else if (performance.now() - begin > LOCK_WAIT_MS) throw new Error(`${lock} is held by another process`);
      else await sleep(5 + 20 * Math.random());
    }
  }
  try {
    return action();
  } finally {
    rmSync(lock, { force: true });
  }
}

/**
 * Changes the records of a table: read, changed and replaced as a whole under a lock, so that of two sweeps neither loses
 * what the other found. A file that is no table is replaced.
 * @throws ERR_FILE if it cannot be written
 */
export async function changeTuningTable(
  path: string,
  change: (records: readonly TuningRecord[]) => readonly TuningRecord[],
): Promise<TuningTable> {
  try {
    mkdirSync(dirname(path), { recursive: true });
    return await locked(path, () => {
      let before: readonly TuningRecord[] = [];
      try {
        before = readTuningTable(path)?.records ?? [];
      } catch {
        // Nothing in it could be used.
      }
      const table: TuningTable = { format: TUNING_FORMAT, version: TUNING_VERSION, records: change(before) };
      const unfinished = `${path}.${process.pid}.part`;
      try {
        writeFileSync(unfinished, `${JSON.stringify(table, null, 1)}\n`);
        renameSync(unfinished, path);
      } finally {
        rmSync(unfinished, { force: true });
      }
      return table;
    });
  } catch (cause) {
    throw new TilewrightError('ERR_FILE', `Cannot write the tuning table ${path}: ${(cause as Error).message}.`, {
      cause,
    });
  }
}

/** Puts a record in the place of the one with its key. */
export const saveTuned = (path: string, record: TuningRecord): Promise<TuningTable> =>
  changeTuningTable(path, (records) => [...records.filter(({ key }) => !sameKey(key, record.key)), record]);
