/** Times of one command of a submission. */
export interface CommandTiming {
  readonly label: string;
  /** Milliseconds that the command took on the device. */
  readonly ms: number;
  /** When it began, in milliseconds of {@link CommandTiming.clock}. Of no meaning for a launch that had nothing to do. */
  readonly begin: number;
  /** The device's own clock; `performance.now()` for a step that ran on the JavaScript thread. */
  readonly clock: 'device' | 'host';
}

/** What a finished submission tells. */
export interface SubmissionResult {
  /** From the start of the first command to the end of the last, in milliseconds of the device's clock. */
  readonly totalMs: number;
  /** Per command, in order; empty unless `timings` was asked for. */
  readonly timings: readonly CommandTiming[];
}

/** Work in flight: await it, or do something else first. */
export class Submission implements PromiseLike<SubmissionResult> {
  /** Resolves when all commands have run; rejects with a TilewrightError or the abort reason. */
  readonly done: Promise<SubmissionResult>;
  #settled = false;

  constructor(done: Promise<SubmissionResult>) {
    this.done = done;
    const settle = () => {
      this.#settled = true;
    };
    // Also marks a rejection as handled: whoever awaits the submission still gets it.
    done.then(settle, settle);
  }

  /** True once the work has ended, well or badly. */
  get settled(): boolean {
    return this.#settled;
  }

  // biome-ignore lint/suspicious/noThenProperty: a submission is a handle to await.
  then<A = SubmissionResult, B = never>(
    onDone?: ((result: SubmissionResult) => A | PromiseLike<A>) | null,
    onFailed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.done.then(onDone, onFailed);
  }
}
