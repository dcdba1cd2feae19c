import type { Command, CommandList } from '../device/command-list.ts';
import type { Device, SubmitOptions } from '../device/device.ts';
import type { CommandTiming, SubmissionResult } from '../device/submission.ts';
import { TilewrightError } from '../errors.ts';

/** One closed scope. */
export interface ScopeTiming {
  /** Names from the outermost scope inwards, joined by `/`. */
  readonly path: string;
  readonly depth: number;
  /** Wall-clock milliseconds between opening and closing the scope. */
  readonly cpuMs: number;
  /** Milliseconds that the device worked for submits made in this scope and those within it. */
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

/**
 * Times work on a device, by named scopes that nest:
 *
 * ```ts
 * const timer = new KernelTimer(device);
 * {
 *   using layer = timer.scope('layer0');
 *   using q = layer.scope('q_proj');
 *   await q.submit(commands);
 * }
 * console.log(timer.summary());
 * ```
 *
 * Device times come from the back end's own clock, around each command: what waiting in the queue cost shows as the
 * difference to the CPU time.
 */
export class KernelTimer {
  readonly device: Device;
  readonly #closed: ScopeTiming[] = [];

  constructor(device: Device) {
    this.device = device;
  }

  /** Open an outermost scope; `using` or `end()` closes it. */
  scope(name: string): TimerScope {
    return new TimerScope(this.device, name, null, (timing) => this.#closed.push(timing));
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
  readonly #device: Device;
  readonly #parent: TimerScope | null;
  readonly #close: (timing: ScopeTiming) => void;
  readonly #begin = performance.now();
  readonly #commands: CommandTiming[] = [];
  readonly #depth: number;
  #deviceMs = 0;
  #open = true;

  constructor(device: Device, name: string, parent: TimerScope | null, close: (timing: ScopeTiming) => void) {
    this.#device = device;
    this.#parent = parent;
    this.#close = close;
    this.#depth = parent === null ? 0 : parent.#depth + 1;
    this.path = parent === null ? name : `${parent.path}/${name}`;
  }

  /** Open a scope within this one. */
  scope(name: string): TimerScope {
    this.#check();
    return new TimerScope(this.#device, name, this, this.#close);
  }

  /** Submit with times taken; they count for this scope and all around it. */
  async submit(list: CommandList | readonly Command[], options: SubmitOptions = {}): Promise<SubmissionResult> {
    this.#check();
    const result = await this.#device.submit(list, { ...options, timings: true });
    this.#check();
    this.#commands.push(...result.timings);
    const ms = result.timings.reduce((sum, timing) => sum + timing.ms, 0);
    for (let scope: TimerScope | null = this; scope !== null; scope = scope.#parent) scope.#deviceMs += ms;
    return result;
  }

  #check(): void {
    if (!this.#open) {
      throw new TilewrightError(
        'ERR_DISPOSED',
        `Timer scope "${this.path}" was closed; await submits before closing it.`,
      );
    }
  }

  /** Close the scope and record it. Closing twice is harmless. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#close({
      path: this.path,
      depth: this.#depth,
      cpuMs: performance.now() - this.#begin,
      deviceMs: this.#deviceMs,
      commands: this.#commands,
    });
  }
  [Symbol.dispose](): void {
    this.end();
  }
}
