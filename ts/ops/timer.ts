import type { Command, CommandList } from '../device/command-list.ts';
import type { Device, SubmitOptions } from '../device/device.ts';
import type { CommandTiming, Submission, SubmissionResult } from '../device/submission.ts';
import { TilewrightError } from '../errors.ts';

/** One closed scope. */
export interface ScopeTiming {
  /** Names from the outermost scope inwards, joined by `/`. */
  readonly path: string;
  readonly depth: number;
  /** Wall-clock milliseconds between opening and closing the scope. */
  readonly cpuMs: number;
  /**
   * Milliseconds that the device worked for submits made in this scope and those within it; of submits that are still
   * under way when it is closed, too, once they have ended.
   */
  readonly deviceMs: number;
  /** Every command timed in this scope itself. */
  readonly commands: readonly CommandTiming[];
}

/** Totals of all scopes of one path. */
export interface ScopeSummary {
  readonly path: string;
  readonly count: number;
  readonly cpuMs: number;
  readonly deviceMs: number;
}

/** What scopes tell their timer, and ask of it. */
interface Book {
  readonly device: Device;
  opened(scope: TimerScope): void;
  closed(scope: TimerScope, timing: ScopeTiming): void;
  /** Submits made during `make` count for `scope`, whichever was opened last. */
  on<T>(scope: TimerScope, make: () => T): T;
}

/** How a submission is counted for the scope in which it was made. */
const count: unique symbol = Symbol('count');

/**
 * Times work on a device, by named scopes that nest:
 *
 * ```ts
 * const timer = new KernelTimer(device);
 * {
 *   using layer = timer.scope('layer0');
 *   using q = layer.scope('q_proj');
 *   await dispatcher.matmul({ a, b });
 * }
 * console.log(timer.summary());
 * ```
 *
 * What is submitted to the device while scopes are open counts for the one that was opened last. Where several pieces of
 * work overlap in time, that is not always the right one: there, submit by {@link TimerScope.submit}.
 *
 * Device times come from the back end's own clock, around each command: what waiting in the queue cost shows as the
 * difference to the CPU time.
 */
export class KernelTimer {
  readonly device: Device;
  readonly #closed: ScopeTiming[] = [];
  readonly #open: TimerScope[] = [];
  readonly #book: Book;
  #chosen: TimerScope | null = null;
  #unwatch: (() => void) | null = null;

  constructor(device: Device) {
    this.device = device;
    this.#book = {
      device,
      opened: (scope) => {
        this.#open.push(scope);
        // Timing costs a little, so it is on only while somebody wants it.
        this.#unwatch ??= device.watch({
          submitted: (submission) => (this.#chosen ?? this.#open.at(-1))?.[count](submission),
        });
      },
      closed: (scope, timing) => {
        this.#open.splice(this.#open.lastIndexOf(scope), 1);
        this.#closed.push(timing);
        if (this.#open.length > 0) return;
        this.#unwatch?.();
        this.#unwatch = null;
      },
      on: (scope, make) => {
        const before = this.#chosen;
        this.#chosen = scope;
        try {
          return make();
        } finally {
          this.#chosen = before;
        }
      },
    };
  }

  /** Open an outermost scope; `using` or `end()` closes it. */
  scope(name: string): TimerScope {
    return new TimerScope(this.#book, name, null);
  }

  /** Submit, timed, as a scope of its own. */
  async time(name: string, list: CommandList | readonly Command[], options?: SubmitOptions): Promise<SubmissionResult> {
    using scope = this.scope(name);
    return await scope.submit(list, options);
  }

  /** Closed scopes in the order in which they were closed. */
  get scopes(): readonly ScopeTiming[] {
    return this.#closed;
  }

  /** Totals by path, in the order of first closing. */
  summary(): ScopeSummary[] {
    const totals = new Map<string, { path: string; count: number; cpuMs: number; deviceMs: number }>();
    for (const { path, cpuMs, deviceMs } of this.#closed) {
      const total = totals.get(path) ?? { path, count: 0, cpuMs: 0, deviceMs: 0 };
      total.count++;
      total.cpuMs += cpuMs;
      total.deviceMs += deviceMs;
      totals.set(path, total);
    }
    return [...totals.values()];
  }

  /** Forget the closed scopes. */
  reset(): void {
    this.#closed.length = 0;
  }
}

/** A scope that is open. Made by {@link KernelTimer.scope}. */
export class TimerScope implements Disposable {
  readonly path: string;
  readonly #name: string;
  readonly #book: Book;
  readonly #parent: TimerScope | null;
  readonly #begin = performance.now();
  readonly #timing: { path: string; depth: number; cpuMs: number; deviceMs: number; commands: CommandTiming[] };
  #open = true;

  constructor(book: Book, name: string, parent: TimerScope | null) {
    this.#book = book;
    this.#parent = parent;
    this.#name = name;
    this.path = parent === null ? name : `${parent.path}/${name}`;
    const depth = parent === null ? 0 : parent.#timing.depth + 1;
    this.#timing = { path: this.path, depth, cpuMs: 0, deviceMs: 0, commands: [] };
    book.opened(this);
  }

  /** Open a scope within this one. */
  scope(name: string): TimerScope {
    this.#check();
    return new TimerScope(this.#book, name, this);
  }

  /** Submit for this scope, even if another one was opened later. */
  async submit(list: CommandList | readonly Command[], options: SubmitOptions = {}): Promise<SubmissionResult> {
    this.#check();
    return await this.#book.on(this, () => this.#book.device.submit(list, options));
  }

  #check(): void {
    if (!this.#open) throw new TilewrightError('ERR_DISPOSED', `Timer scope "${this.path}" was closed; open another.`);
  }

  /** Add the times of a submission, once it has ended. */
  [count](submission: Submission): void {
    submission.done.then(
      ({ timings }) => {
        this.#timing.commands.push(...timings);
        const ms = timings.reduce((sum, timing) => sum + timing.ms, 0);
        for (let scope: TimerScope | null = this; scope !== null; scope = scope.#parent) scope.#timing.deviceMs += ms;
      },
      () => {}, // whoever submitted it is told
    );
  }

  /** Close the scope and record it. Closing twice is harmless. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    const end = performance.now();
    this.#timing.cpuMs = end - this.#begin;
    this.#book.closed(this, this.#timing);
    this.#book.device.tell({ name: this.#name, kind: 'scope', begin: this.#begin, end });
  }
  [Symbol.dispose](): void {
    this.end();
  }
}
