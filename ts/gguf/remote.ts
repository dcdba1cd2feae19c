import type { GGUFParseOutput } from '@huggingface/gguf';
import { TilewrightError } from '../errors.ts';
import { GGUFFile } from './file.ts';
import { HttpSource } from './http-source.ts';
import { REMOTE_TIMEOUT_MS } from './limits.ts';
import { readPart } from './part.ts';

export interface RemoteOptions {
  readonly signal?: AbortSignal;
  /** Sent with each request: an `authorization` for private files, say. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole header, in milliseconds. Defaults to {@link REMOTE_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
}

/**
 * Reads the header of a GGUF file on a web server, without downloading the rest, and checks all of it as
 * {@link readGGUFHeader} does: the size that the server states stands for the file's. Of a split model, only the part
 * at `url` is read.
 *
 * Bytes that passed these rules are then given to @huggingface/gguf as well, and the two must agree on every tensor.
 *
 * @throws ERR_INVALID_ARGUMENT if `url` is not an http or https address.
 * @throws ERR_FILE if the server cannot be reached, has no such file or breaks off.
 * @throws ERR_GGUF_UNSUPPORTED also if the server does not tell the file's size.
 */
export async function readRemoteHeader(url: string, options: RemoteOptions = {}): Promise<GGUFFile> {
  const { signal, headers = {}, timeoutMs = REMOTE_TIMEOUT_MS } = options;
  if (!/^https?:$/.test(URL.canParse(url) ? new URL(url).protocol : '')) {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', `"${url}" is not an http or https address`);
  }
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = signal ? AbortSignal.any([signal, timeout]) : timeout;
  try {
    await using source = await HttpSource.open(url, headers, stop);
    const file = new GGUFFile([await readPart(source, stop)]);
    await compare(file, source);
    return file;
  } catch (cause) {
    if (!timeout.aborted || cause !== timeout.reason) throw cause;
    const message = `Cannot read ${url}: the header did not arrive within ${timeoutMs / 1000} s`;
    throw new TilewrightError('ERR_FILE', message, { cause, details: { file: url } });
  }
}

/** Reads the same bytes with @huggingface/gguf and compares. @throws ERR_GGUF_INVALID */
async function compare(file: GGUFFile, source: HttpSource): Promise<void> {
  const { gguf } = await import('@huggingface/gguf');
  let other: GGUFParseOutput;
  try {
    other = await gguf(source.name, { fetch: (_url, init) => answer(source, new Headers(init?.headers)) });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new TilewrightError('ERR_GGUF_UNSUPPORTED', `${source.name}: @huggingface/gguf refuses the header: ${why}`, {
      cause,
      details: { file: source.name },
    });
  }
  const describe = (name: string, shape: readonly unknown[], type: number, offset: number | bigint) =>
    `${name} [${shape.join(', ')}] of ggml_type ${type} at ${offset}`;
  const ours = file.tensors.map(({ name, shape, ggmlType, offset }) => describe(name, shape, ggmlType, offset));
  const theirs = other.tensorInfos.map(({ name, shape, dtype, offset }) =>
    describe(name, [...shape].reverse(), dtype, other.tensorDataOffset + offset),
  );
  const index = ours.findIndex((tensor, i) => tensor !== theirs[i]);
  if (index < 0 && ours.length === theirs.length) return;
  throw new TilewrightError(
    'ERR_GGUF_INVALID',
    `${source.name}: two readers disagree about the header: ${ours[index]} here, ${theirs[index]} there`,
    { details: { file: source.name } },
  );
}

/** Answers a range request of @huggingface/gguf from what was already fetched, which is the whole header. */
async function answer(source: HttpSource, request: Headers): Promise<Response> {
  const [, first, last] = (/^bytes=(\d+)-(\d+)$/.exec(request.get('range') ?? '') ?? []).map(Number);
  const bytes = source.fetched.slice(first ?? 0, (last ?? 0) + 1);
  return new Response(bytes, { status: 206 });
}
