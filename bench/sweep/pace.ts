import { roughMs, type SweepShape } from './shape.ts';

/** What a round takes beside its operation: the probe that reads memory, and the submit. */
const ROUND_MS = 12;
const BAR = 20;

/** How far a sweep is, and how long it will take: rounds by their rough cost, corrected by what they took so far. */
export class Pace {
  readonly #expected = new Map<string, number>();
  #spent = 0;
  #measured = 0;
  #ms = 0;

  /** Rough milliseconds of one round at a shape. */
  static weight(shape: SweepShape): number {
    return ROUND_MS + roughMs(shape);
  }

  /** What a study still has before it. */
  expect(study: string, weight: number): void {
    this.#expected.set(study, weight);
  }

  spent(study: string, weight: number): void {
    this.#spent += weight;
    this.#expected.set(study, Math.max(0, (this.#expected.get(study) ?? 0) - weight));
  }

  /** Rounds that were measured now, not taken from an earlier run. */
  done(weight: number, ms: number): void {
    this.#measured += weight;
    this.#ms += ms;
  }

  line(what: string): string {
    const left = [...this.#expected.values()].reduce((x, y) => x + y, 0);
    const share = this.#spent + left === 0 ? 0 : this.#spent / (this.#spent + left);
    const filled = Math.round(BAR * share);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`;
    const time = this.#measured === 0 ? '' : `, ${duration((left * this.#ms) / this.#measured)} left`;
    return `${bar} ${Math.floor(100 * share)}%${time}: ${what}`;
  }
}

/** `45 s`, `3 min 20 s` */
export function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
