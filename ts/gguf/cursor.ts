import type { TilewrightError } from '../errors.ts';
import { MAX_HEADER_BYTES, READ_CHUNK_BYTES } from './limits.ts';
import { type GGUFErrorCode, ggufError } from './report.ts';
import type { ByteSource } from './source.ts';

/**
 * Reads a header front to back. `need(n)` waits until `n` bytes lie in memory, or throws; the readers after it are then
 * synchronous and move on. What was read is kept, so a value that arrives in several chunks is never parsed twice.
 */
export class HeaderCursor {
  /** What is being read, for messages. */
  reading = 'the header';
  position = 0;
  /** Bytes of a count, a length or a dimension: 4 in version 1, 8 since. */
  countBytes: 4 | 8 = 8;
  readonly #source: ByteSource;
  readonly #signal: AbortSignal | undefined;
  #bytes = Buffer.alloc(0);
  #view = new DataView(this.#bytes.buffer);
  #filled = 0;

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
  }

  get file(): string {
    return this.#source.name;
  }

  get fileSize(): number {
    return this.#source.size;
  }

  /** Bytes of the file after the cursor. */
  get remaining(): number {
    return this.#source.size - this.position;
  }

  /** Waits for `count` bytes. @throws ERR_GGUF_TRUNCATED where the file has fewer, ERR_GGUF_LIMIT for absurd headers. */
  async need(count: number): Promise<void> {
    if (this.position + count > this.#filled) await this.#fill(count);
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A count, length or dimension; above 2^53 only its magnitude is right, and no file is that large. */
  count(): number {
    const low = this.u32();
    return this.countBytes === 4 ? low : low + this.u32() * 2 ** 32;
  }

  u64(): number {
    return this.u32() + this.u32() * 2 ** 32;
  }

  /** A copy of the next `count` bytes, at the start of its own buffer. */
  copy(count: number): Uint8Array<ArrayBuffer> {
    const start = this.#take(count);
    const copy = new Uint8Array(new ArrayBuffer(count));
    copy.set(this.#bytes.subarray(start, start + count));
    return copy;
  }

  /** A view of the next `count` bytes, valid until the next `need`. */
  peek(count: number): Buffer {
    const start = this.#take(count);
    this.position = start;
    return this.#bytes.subarray(start, start + count);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /**
   * Steps over length-prefixed strings that already lie in memory, without a promise for each: a vocabulary has a
   * quarter of a million. Notes at `starts[i]` where string i's text begins, counted from `origin`.
   * @returns the index of the first string that is not in memory or is longer than `limit`.
   */
  scanStrings(starts: Uint32Array, from: number, to: number, origin: number, limit: number): number {
    const view = this.#view;
    const wide = this.countBytes === 8;
    let position = this.position;
    let i = from;
    for (; i < to; i++) {
      const text = position + this.countBytes;
      if (text > this.#filled) break;
      const length = view.getUint32(position, true);
      if (length > limit || text + length > this.#filled || (wide && view.getUint32(position + 4, true) !== 0)) break;
      starts[i] = text - origin;
      position = text + length;
    }
    this.position = position;
    return i;
  }

  /** An error at `offset`, by default where the cursor stands. */
  error(code: GGUFErrorCode, problem: string, offset = this.position): TilewrightError {
    return ggufError(code, { file: this.file, offset, reading: this.reading }, problem);
  }

  #take(count: number): number {
    const start = this.position;
    if (start + count > this.#filled) throw new Error(`${count} bytes read at ${start} without need()`);
    this.position = start + count;
    return start;
  }

  async #fill(count: number): Promise<void> {
    const end = this.position + count;
    if (end > this.#source.size) {
      throw this.error(
        'ERR_GGUF_TRUNCATED',
        `${count} bytes are needed where the file has ${this.remaining} left: it was cut off, or a length in it is wrong`,
      );
    }
    if (end > MAX_HEADER_BYTES) {
      throw this.error('ERR_GGUF_LIMIT', `the header is larger than the ${MAX_HEADER_BYTES} bytes that are accepted`);
    }
    const goal = Math.min(Math.max(end, this.#filled + READ_CHUNK_BYTES), this.#source.size);
    if (goal > this.#bytes.length) this.#grow(Math.max(goal, Math.min(2 * this.#bytes.length, MAX_HEADER_BYTES)));
    while (this.#filled < goal) {
      this.#signal?.throwIfAborted();
      const target = this.#bytes.subarray(this.#filled, Math.min(goal, this.#filled + READ_CHUNK_BYTES));
      const read = await this.#source.read(target, this.#filled);
      if (read === 0) throw this.error('ERR_GGUF_TRUNCATED', 'the file became shorter while it was read', this.#filled);
      this.#filled += read;
    }
  }

  #grow(capacity: number): void {
    const bytes = Buffer.from(new ArrayBuffer(capacity));
    this.#bytes.copy(bytes, 0, 0, this.#filled);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
