import { clearLine, cursorTo } from 'node:readline';
import type { Progress } from '../suites/session.ts';

/** No more often than this: writing to a terminal takes time on the cores that are being measured. */
const INTERVAL_MS = 100;

/**
 * One line on standard error that says what is going on, on a terminal only. It is written when there is news and never
 * by a timer: an animation would run on the cores that are being measured.
 */
export class ProgressLine implements Progress, Disposable {
  readonly #stream: NodeJS.WriteStream;
  #last = Number.NEGATIVE_INFINITY;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  update(text: string): void {
    const now = performance.now();
    if (!this.#stream.isTTY || now - this.#last < INTERVAL_MS) return;
    this.#last = now;
    this.#clear();
    this.#stream.write(text.slice(0, Math.max(0, this.#stream.columns - 1)));
  }

  #clear(): void {
    cursorTo(this.#stream, 0);
    clearLine(this.#stream, 0);
  }

  /** Take the line away. */
  dispose(): void {
    if (this.#stream.isTTY && Number.isFinite(this.#last)) this.#clear();
    this.#last = Number.NEGATIVE_INFINITY;
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** A message beside the results: a line of its own on standard error. */
export function note(progress: ProgressLine, text: string): void {
  progress.dispose();
  process.stderr.write(`${text}\n`);
}
