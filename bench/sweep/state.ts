// What a sweep has measured so far, in a file of its own: a line per unit, appended with one write, so that whatever ends
// the process costs at most the unit at hand.
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TuningKey } from '../../ts/dispatch/tuning-table.ts';

export const STATE_FORMAT = 'tilewright-sweep-state';
export const STATE_VERSION = 1;
/** Measurements that are older are taken anew. */
const MAX_AGE_MS = 24 * 3600 * 1000;

/** Rounds by signature of the launches, in milliseconds. */
export type UnitResult = Readonly<Record<string, readonly number[]>>;

/** What has to be the same for measurements to go on. */
export interface StateHeader {
  readonly key: TuningKey;
  /** Of the sources, in a checkout. */
  readonly revision: string | null;
  readonly quick: boolean;
}

interface Line {
  readonly unit: string;
  readonly rounds: UnitResult;
}

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** The state's file beside the tuning table: one for each device and what is looked for on it. */
export const statePath = (table: string, key: TuningKey, asked: unknown): string =>
  join(dirname(table), `sweep-${digest(JSON.stringify([key, asked]))}.jsonl`);

export class SweepState {
  readonly path: string;
  readonly #units = new Map<string, UnitResult>();
  readonly #header: string;
  #begun = false;
  /** Units that an earlier run had measured. */
  readonly resumed: number;

  constructor(path: string, header: StateHeader, fresh: boolean) {
    this.path = path;
    this.#header = JSON.stringify({ format: STATE_FORMAT, version: STATE_VERSION, ...header });
    if (fresh) rmSync(path, { force: true });
    else this.#read();
    this.resumed = this.#units.size;
  }

  #read(): void {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch {
      return;
    }
    // Without its end, the last line is what a process was writing when it ended.
    const [header, ...lines] = text.split('\n').slice(0, -1);
    const { created, ...rest } = parsed<{ created?: number }>(header ?? '') ?? {};
    if (JSON.stringify(rest) !== this.#header || !(Date.now() - (created ?? 0) < MAX_AGE_MS)) return;
    this.#begun = true;
    for (const line of lines) {
      const { unit, rounds } = parsed<Partial<Line>>(line) ?? {};
      if (typeof unit === 'string' && typeof rounds === 'object') this.#units.set(unit, rounds);
    }
    // What follows must not continue a line that was cut off.
    if (!text.endsWith('\n')) appendFileSync(this.path, '\n');
  }

  get(unit: string): UnitResult | undefined {
    return this.#units.get(unit);
  }

  add(unit: string, rounds: UnitResult): void {
    if (!this.#begun) {
      mkdirSync(dirname(this.path), { recursive: true });
      rmSync(this.path, { force: true });
      const header = { ...(JSON.parse(this.#header) as object), created: Date.now() };
      appendFileSync(this.path, `${JSON.stringify(header)}\n`);
      this.#begun = true;
    }
    appendFileSync(this.path, `${JSON.stringify({ unit, rounds } satisfies Line)}\n`);
    this.#units.set(unit, rounds);
  }

  /** The sweep is done: the next one measures anew. */
  remove(): void {
    rmSync(this.path, { force: true });
  }
}

function parsed<T>(line: string): T | null {
  try {
    return JSON.parse(line) as T;
  } catch {
    return null;
  }
}
