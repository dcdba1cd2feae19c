import type { Device } from '../device/device.ts';
import type { Submission, SubmissionResult } from '../device/submission.ts';
import type { Tensor } from '../device/tensor.ts';
import type { MatmulArgs } from '../dispatch/args.ts';
import { MatmulDispatcher, type Selection } from '../dispatch/dispatcher.ts';
import { TilewrightError } from '../errors.ts';

/** A matmul in flight. */
export interface LaunchHandle extends PromiseLike<Tensor> {
  /** The result, to be read once the launch is done; the caller disposes it. */
  readonly out: Tensor;
  readonly selection: Selection;
  readonly done: Promise<SubmissionResult>;
  /** True once it has ended, well or badly. */
  readonly settled: boolean;
}

/**
 * Launch matmuls and go on with other work: `launch` returns at once, `wait` resolves when everything launched so far
 * is done. Works for every format, and never blocks the event loop.
 */
export class AsyncKernelLauncher implements AsyncDisposable {
  readonly dispatcher: MatmulDispatcher;
  readonly maxInFlight: number;
  readonly #own: boolean;
  readonly #inFlight = new Set<Submission>();
  #failure: { readonly error: unknown } | null = null;

  /**
   * @param on  a dispatcher (with its plug-ins and tuning), or a device.
   * @param options.maxInFlight  launches that may be under way; one more throws. Defaults to 256.
   */
  constructor(on: Device | MatmulDispatcher, options: { readonly maxInFlight?: number } = {}) {
    this.#own = !(on instanceof MatmulDispatcher);
    this.dispatcher = on instanceof MatmulDispatcher ? on : new MatmulDispatcher(on);
    this.maxInFlight = options.maxInFlight ?? 256;
  }

  /** Launches that have not ended. */
  get pending(): number {
    return this.#inFlight.size;
  }

  /**
   * Start one matmul.
   * @throws ERR_QUEUE_FULL if `maxInFlight` are under way: await some first.
   */
  launch(args: MatmulArgs, options: { readonly signal?: AbortSignal; readonly timings?: boolean } = {}): LaunchHandle {
    if (this.#inFlight.size >= this.maxInFlight) {
      throw new TilewrightError(
        'ERR_QUEUE_FULL',
        `${this.maxInFlight} launches are under way; await wait() or a handle before launching more.`,
        { details: { maxInFlight: this.maxInFlight } },
      );
    }
    const { out, commands, selection } = this.dispatcher.encode(args);
    const submission = this.dispatcher.device.submit(commands, options);
    this.#inFlight.add(submission);
    const { done } = submission;
    done.then(
      () => this.#inFlight.delete(submission),
      (error: unknown) => {
        this.#inFlight.delete(submission);
        this.#failure ??= { error };
      },
    );
    const result = done.then(() => out);
    result.catch(() => {}); // reported by wait(), and by the handle to whoever awaits it
    return {
      out,
      selection,
      done,
      get settled() {
        return submission.settled;
      },
      // biome-ignore lint/suspicious/noThenProperty: a launch is a handle to await.
      then: (onDone, onFailed) => result.then(onDone, onFailed),
    };
  }

  /** Wait for everything launched so far. Rejects with the first failure since the last wait. */
  async wait(): Promise<void> {
    await Promise.allSettled([...this.#inFlight].map(({ done }) => done));
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure.error;
  }

  /** Wait for what is under way, then let go of the dispatcher if it is the launcher's own. */
  async dispose(): Promise<void> {
    await Promise.allSettled([...this.#inFlight].map(({ done }) => done));
    if (this.#own) this.dispatcher.dispose();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
