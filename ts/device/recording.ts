import { TilewrightError } from '../errors.ts';
import type { DeviceBuffer } from './buffer.ts';
import type { Launch } from './command-list.ts';
import type { SubmitOptions } from './device.ts';
import type { Submission } from './submission.ts';

/**
 * A command list that is run many times with the same buffers and parameters: a decode step, say. A back end with graphs
 * hands it to the driver once and then replays it with one call; elsewhere it saves the checks. Make one with
 * `device.record()`. It holds its buffers until it is disposed.
 */
export class RecordedList implements Disposable {
  readonly #submit: (options: SubmitOptions) => Submission;
  readonly #buffers: ReadonlySet<DeviceBuffer>;
  readonly #release: () => void;
  /** Number of launches. */
  readonly length: number;
  #disposed = false;

  /** Use {@link Device.record}. */
  constructor(
    launches: readonly Launch[],
    parts: { readonly submit: (options: SubmitOptions) => Submission; readonly release: () => void },
  ) {
    this.length = launches.length;
    this.#submit = parts.submit;
    this.#release = parts.release;
    this.#buffers = new Set(
      launches.flatMap(({ bindings }) => bindings.flatMap((b) => (b === null ? [] : [b.buffer]))),
    );
    for (const buffer of this.#buffers) buffer.retain();
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Run it once more, after everything submitted before. @throws ERR_DISPOSED */
  submit(options: SubmitOptions = {}): Submission {
    if (this.#disposed) throw new TilewrightError('ERR_DISPOSED', 'This recording was disposed; record another.');
    return this.#submit(options);
  }

  /** Let the buffers go. Runs in flight end undisturbed. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#release();
    for (const buffer of this.#buffers) buffer.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}
