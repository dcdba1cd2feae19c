import { TilewrightError } from '../errors.ts';
import { MAX_REMOTE_HEADER_BYTES, READ_CHUNK_BYTES } from './limits.ts';
import type { ByteSource } from './source.ts';

/**
 * The beginning of a file on a web server, fetched as far as it is asked for and kept. Servers that know ranges are
 * asked for ranges; of others, the one answer is read as far as needed and then cut off.
 */
export class HttpSource implements ByteSource, AsyncDisposable {
  readonly name: string;
  readonly #signal: AbortSignal;
  readonly #headers: Readonly<Record<string, string>>;
  #size = 0;
  #etag: string | null = null;
  #bytes = Buffer.alloc(0);
  #filled = 0;
  /** The one answer of a server that does not know ranges. */
  #stream: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** Bytes of that answer that came with the last piece but were not yet asked for. */
  #rest: Uint8Array = new Uint8Array();

  private constructor(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal) {
    this.name = url;
    this.#headers = headers;
    this.#signal = signal;
  }

  /** @throws ERR_FILE if the server cannot be reached or has no such file, ERR_GGUF_UNSUPPORTED if it hides its size. */
  static async open(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<HttpSource> {
    const source = new HttpSource(url, headers, signal);
    const response = await source.#request(0, READ_CHUNK_BYTES);
    if (response.status === 206) {
      source.#size = source.#rangeOf(response, 0).total;
      source.#etag = response.headers.get('etag');
      await source.#keepRange(response, 0);
    } else {
      source.#size = source.#contentLength(response);
      source.#stream = response.body?.getReader();
    }
    return source;
  }

  get size(): number {
    return this.#size;
  }

  /** The bytes that were fetched so far. */
  get fetched(): Uint8Array {
    return this.#bytes.subarray(0, this.#filled);
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    if (position >= MAX_REMOTE_HEADER_BYTES) {
      throw new TilewrightError(
        'ERR_GGUF_LIMIT',
        `${this.name}: the header is larger than the ${MAX_REMOTE_HEADER_BYTES} bytes that are read of a remote file. ` +
          'Download the file and open it from disk.',
        { details: { file: this.name, offset: position } },
      );
    }
    const end = Math.min(position + target.length, this.#size, MAX_REMOTE_HEADER_BYTES);
    await this.#fetchTo(end);
    target.set(this.#bytes.subarray(position, Math.max(position, end)));
    return Math.max(0, end - position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.cancel().catch(() => {});
  }

  async #fetchTo(end: number): Promise<void> {
    while (this.#filled < end) {
      if (this.#stream) {
        await this.#keepPiece(this.#stream, end);
      } else {
        const start = this.#filled;
        const response = await this.#request(start, Math.max(end - start, READ_CHUNK_BYTES));
        if (response.status !== 206) throw this.#failure('it answered a range request with the whole file');
        await this.#keepRange(response, start);
      }
    }
  }

  async #request(start: number, count: number): Promise<Response> {
    const last = this.#size > 0 ? Math.min(start + count, this.#size) - 1 : start + count - 1;
    const headers = { ...this.#headers, range: `bytes=${start}-${last}`, 'accept-encoding': 'identity' };
    const response = await this.#guard(() => fetch(this.name, { headers, signal: this.#signal }));
    const empty = response.status === 416 && /\/0$/.test(response.headers.get('content-range') ?? '');
    if (empty) return new Response(null, { headers: { 'content-length': '0' } });
    if (response.status !== 206 && response.status !== 200) {
      await response.body?.cancel().catch(() => {});
      throw this.#failure(`the server answered ${response.status} ${response.statusText}`.trimEnd());
    }
    const encoding = response.headers.get('content-encoding') ?? 'identity';
    if (encoding !== 'identity') {
      await response.body?.cancel().catch(() => {});
      throw this.#failure(`the server sends it compressed (${encoding}), so its size is not known`);
    }
    return response;
  }

  /** Keeps the body of a range answer, which must be exactly what was asked for. */
  async #keepRange(response: Response, start: number): Promise<void> {
    const { end: sent, total } = this.#rangeOf(response, start);
    const end = Math.min(sent, MAX_REMOTE_HEADER_BYTES);
    if (total !== this.#size || response.headers.get('etag') !== this.#etag) {
      throw this.#failure('the file changed on the server while it was read');
    }
    const reader = response.body?.getReader();
    if (!reader) throw this.#failure('the server sent no data');
    try {
      while (this.#filled < end) await this.#keepPiece(reader, end);
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /** Takes the next piece of a body in, up to `end`. */
  async #keepPiece(reader: ReadableStreamDefaultReader<Uint8Array>, end: number): Promise<void> {
    let piece = this.#rest;
    if (piece.length === 0) {
      const { done, value } = await this.#guard(() => reader.read());
      if (done) throw this.#failure(`the server stopped after ${this.#filled} of ${end} bytes`);
      piece = value;
    }
    const room = end - this.#filled;
    this.#append(piece.subarray(0, room));
    this.#rest = reader === this.#stream ? piece.subarray(room) : this.#rest;
  }

  #append(piece: Uint8Array): void {
    const filled = this.#filled + piece.length;
    if (filled > this.#bytes.length) {
      const bytes = Buffer.alloc(Math.max(filled, 2 * this.#bytes.length));
      this.#bytes.copy(bytes, 0, 0, this.#filled);
      this.#bytes = bytes;
    }
    this.#bytes.set(piece, this.#filled);
    this.#filled = filled;
  }

  #rangeOf(response: Response, start: number): { end: number; total: number } {
    const text = response.headers.get('content-range') ?? '';
    const [, first, last, total] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
    if (first !== start || last === undefined || total === undefined || last < start || last >= total) {
      throw this.#failure(`the server's Content-Range is "${text}", so it cannot be told which bytes it sent`);
    }
    return { end: last + 1, total };
  }

  #contentLength(response: Response): number {
    const text = response.headers.get('content-length');
    if (text !== null && /^\d+$/.test(text)) return Number(text);
    throw new TilewrightError(
      'ERR_GGUF_UNSUPPORTED',
      `${this.name}: the server does not say how large the file is, so it cannot be checked. ` +
        'Download the file and open it from disk.',
      { details: { file: this.name } },
    );
  }

  /** Runs a step of the transfer; an abort stays what the caller made it, the rest becomes ERR_FILE. */
  async #guard<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (cause) {
      if (this.#signal.aborted) throw this.#signal.reason;
      const reason = cause instanceof Error ? (cause.cause instanceof Error ? cause.cause : cause) : undefined;
      throw this.#failure(reason?.message || String(reason ?? cause), cause);
    }
  }

  #failure(why: string, cause?: unknown): TilewrightError {
    return new TilewrightError('ERR_FILE', `Cannot read ${this.name}: ${why}`, {
      cause,
      details: { file: this.name, offset: this.#filled },
    });
  }
}
