import type { TilewrightError } from '../errors.ts';
import { HEADER_BUFFER_BYTES, MAX_HEADER_BYTES, MAX_READ_CHUNK_BYTES, READ_CHUNK_BYTES } from './limits.ts';
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
  #bytes = Buffer.from(new ArrayBuffer(0));
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

  /** The next `count` bytes, copied: in the file they may be misaligned for the numbers that they are. */
  copy(count: number): ArrayBuffer {
    const start = this.#take(count);
    return this.#bytes.buffer.slice(start, start + count);
  }

  /** A view of `count` bytes from `start`, which were read. It keeps the whole header in memory. */
  view(start: number, count: number): Buffer {
    return this.#bytes.subarray(start, start + count);
  }

  /** Steps over `count` bytes and returns where they start. */
  skip(count: number): number {
    return this.#take(count);
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
    while (this.#filled < end) {
      this.#signal?.throwIfAborted();
      const chunk = Math.min(Math.max(READ_CHUNK_BYTES, this.#filled), MAX_READ_CHUNK_BYTES);
      const goal = Math.min(this.#filled + chunk, this.#source.size);
      if (goal > this.#bytes.length) this.#grow(goal);
      const read = await this.#source.read(this.#bytes.subarray(this.#filled, goal), this.#filled);
      if (read === 0) throw this.error('ERR_GGUF_TRUNCATED', 'the file became shorter while it was read', this.#filled);
      this.#filled += read;
    }
  }

  #grow(least: number): void {
    const wanted = Math.max(least, this.#bytes.length === 0 ? 0 : HEADER_BUFFER_BYTES, 2 * this.#bytes.length);
    const bytes = Buffer.from(new ArrayBuffer(Math.min(wanted, this.#source.size)));
    this.#bytes.copy(bytes, 0, 0, this.#filled);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
