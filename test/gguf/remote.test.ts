import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type MetadataInput, readGGUFHeader, readRemoteHeader, writeGGUF } from '../../ts/gguf/index.ts';
import { MAX_ARRAY_LENGTH, READ_CHUNK_BYTES } from '../../ts/gguf/limits.ts';
import { array, entry, failure, pair, rawFile, temporaryFolder, u8 } from './raw.ts';

const folder = await temporaryFolder();
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves on 127.0.0.1 until the test ends; returns the address of a file. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
}

/** A server that knows ranges; `requests` receives them. */
function ranges(
  bytes: Uint8Array,
  requests: string[] = [],
  change: (headers: Record<string, string>) => void = () => {},
) {
  return ((request, response) => {
    const range = request.headers.range ?? '';
    requests.push(range);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range)!.map(Number);
    if (first! >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    const part = bytes.subarray(first, last! + 1);
    const headers = { 'content-range': `bytes ${first}-${first! + part.length - 1}/${bytes.length}` };
    change(headers);
    response.writeHead(206, headers).end(part);
  }) satisfies Handler;
}

/** A server that sends the whole file whatever is asked for. */
const whole = (bytes: Uint8Array): Handler => {
  return (_request, response) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
};

const metadata: Readonly<Record<string, MetadataInput>> = {
  'general.architecture': 'llama',
  tokens: Array.from({ length: 150_000 }, (_, i) => `token ${i}`),
  scores: Float32Array.from({ length: 150_000 }, (_, i) => -i),
};

/** A file with a header of several reads. */
async function model(): Promise<{ path: string; bytes: Buffer }> {
  const path = join(folder, 'model.gguf');
  const tensors = ['a', 'b'].map((name) => ({ name, shape: [2, 256], dtype: 'q4_k', data: new Uint8Array(288) }));
  await writeGGUF(path, { metadata, tensors });
  return { path, bytes: await readFile(path) };
}

const small = rawFile({ pairs: [pair('k', 'u8', u8(1))], tensors: [entry()], data: 32 });

describe('a remote header', () => {
  it.each([
    ['that knows ranges', ranges],
    ['that does not', whole],
  ])('is the same as the local one, from a server %s', async (_what, handler) => {
    const { path, bytes } = await model();
    const url = await serve(handler(bytes));
    const remote = await readRemoteHeader(url);
    const local = await readGGUFHeader(path);
    expect(remote.metadata).toEqual(local.metadata);
    expect(remote.metadataTypes).toEqual(local.metadataTypes);
    expect(remote.tensors).toEqual(local.tensors);
    expect(remote.parts).toEqual([{ ...local.parts[0], path: url }]);
  });

  it('is fetched in ranges that follow each other and end soon after it', async () => {
    const { bytes } = await model();
    const padded = Buffer.concat([bytes, Buffer.alloc(32 * READ_CHUNK_BYTES)]);
    const requests: string[] = [];
    await readRemoteHeader(await serve(ranges(padded, requests)));
    let next = 0;
    for (const range of requests) {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range)!.map(Number);
      expect(first).toBe(next);
      next = last! + 1;
    }
    expect(requests.length).toBeGreaterThan(2);
    expect(next).toBeLessThan(bytes.length + READ_CHUNK_BYTES);
  });

  it('costs no whole download from a server that does not know ranges', async () => {
    const size = 2 ** 31;
    let sent = 0;
    let closed: Promise<unknown> | undefined;
    const url = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': size });
      closed = once(response, 'close');
      const chunk = Buffer.alloc(2 ** 16);
      const send = () => {
        while (!response.destroyed && response.write(sent === 0 ? small : chunk)) sent += chunk.length;
        sent += chunk.length;
        if (!response.destroyed) response.once('drain', send);
      };
      send();
    });
    const file = await readRemoteHeader(url);
    expect(file.parts[0]!.byteLength).toBe(size);
    await closed;
    expect(sent).toBeLessThan(size / 16);
  });

  it('is found behind a redirect, and takes the headers of the caller along', async () => {
    const seen: (string | undefined)[] = [];
    const answer = ranges(small);
    const url = await serve((request, response) => {
      seen.push(request.headers.authorization);
      if (request.url === '/real.gguf') answer(request, response);
      else response.writeHead(302, { location: '/real.gguf' }).end();
    });
    const file = await readRemoteHeader(url, { headers: { authorization: 'Bearer x' } });
    expect(file.metadata.k).toBe(1);
    expect(seen).toEqual(['Bearer x', 'Bearer x']);
  });
});

describe('a remote header is refused when', () => {
  it('the address is not one of a web server', async () => {
    await failure(readRemoteHeader('file:///etc/passwd'), 'ERR_INVALID_ARGUMENT');
    await failure(readRemoteHeader('model.gguf'), 'ERR_INVALID_ARGUMENT');
  });

  it('it is cut at any byte', async () => {
    let length = 0;
    const url = await serve((request, response) => ranges(small.subarray(0, length))(request, response));
    for (; length < small.length; length++) await failure(readRemoteHeader(url), 'ERR_GGUF_TRUNCATED');
    expect((await readRemoteHeader(url)).tensors.length).toBe(1);
  });

  it('the data of its tensors is cut off', async () => {
    for (const handler of [ranges, whole]) {
      await failure(readRemoteHeader(await serve(handler(small.subarray(0, -1)))), 'ERR_GGUF_TRUNCATED');
    }
  });

  it('it breaks the rules of local files', async () => {
    const twice = rawFile({ pairs: [pair('k', 'u8', u8(1)), pair('k', 'u8', u8(1))] });
    await failure(readRemoteHeader(await serve(ranges(twice))), 'ERR_GGUF_INVALID');
  });

  it('it is larger than is read of a remote file', async () => {
    const head = rawFile({ pairs: [pair('k', 'array', array('f32', MAX_ARRAY_LENGTH))] });
    const bytes = Buffer.concat([head, Buffer.alloc(4 * MAX_ARRAY_LENGTH)]);
    const error = await failure(readRemoteHeader(await serve(ranges(bytes))), 'ERR_GGUF_LIMIT');
    expect(error.message).toContain('Download');
  });

  it('the other reader cannot read it', async () => {
    const many = array('u8', 1_000_001, Buffer.alloc(1_000_001));
    const url = await serve(ranges(rawFile({ pairs: [pair('k', 'array', many)] })));
    const error = await failure(readRemoteHeader(url), 'ERR_GGUF_UNSUPPORTED');
    expect(error.message).toContain('@huggingface/gguf');
  });

  it.each([
    ['there is no such file', (_: IncomingMessage, r: ServerResponse) => r.writeHead(404).end(), '404 Not Found'],
    ['the server breaks off', (_: IncomingMessage, r: ServerResponse) => r.destroy(), 'Cannot read'],
    [
      'the server breaks off in the middle',
      (_: IncomingMessage, r: ServerResponse) => {
        r.writeHead(200, { 'content-length': 1000 });
        r.write(small.subarray(0, 30), () => r.destroy());
      },
      'Cannot read',
    ],
    [
      'the answer is compressed',
      (_: IncomingMessage, r: ServerResponse) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(),
      'compressed (gzip)',
    ],
    ['the range has no size', ranges(small, [], (h) => Object.assign(h, { 'content-range': 'bytes 0-9/*' })), '0-9/*'],
    [
      'the range is another',
      ranges(small, [], (h) => Object.assign(h, { 'content-range': `bytes 1-${small.length}/${small.length + 1}` })),
      'cannot be told which bytes',
    ],
    [
      'the range is longer than its data',
      ranges(small, [], (h) => Object.assign(h, { 'content-range': 'bytes 0-998/999' })),
      'stopped after',
    ],
  ] as const)('%s', async (_what, handler, text) => {
    const error = await failure(readRemoteHeader(await serve(handler)), 'ERR_FILE');
    expect(error.message).toContain(text);
  });

  it('the server hides the size of the file', async () => {
    const url = await serve((_request, response) => response.writeHead(200).end(small));
    await failure(readRemoteHeader(url), 'ERR_GGUF_UNSUPPORTED');
  });

  it('the file changes on the server while it is read', async () => {
    const { bytes } = await model();
    let version = 0;
    const marked = ranges(bytes, [], (headers) => Object.assign(headers, { etag: `"${version++}"` }));
    let length = bytes.length;
    const growing: Handler = (request, response) =>
      ranges(Buffer.concat([bytes, Buffer.alloc(length++)]))(request, response);
    for (const handler of [marked, growing]) {
      const error = await failure(readRemoteHeader(await serve(handler)), 'ERR_FILE');
      expect(error.message).toContain('changed on the server');
    }
  });

  it('nobody listens', async () => {
    const url = await serve(() => {});
    closing.splice(0).forEach((close) => void close());
    await failure(readRemoteHeader(url), 'ERR_FILE');
  });

  it('the server does not answer in time', async () => {
    const error = await failure(readRemoteHeader(await serve(() => {}), { timeoutMs: 50 }), 'ERR_FILE');
    expect(error.message).toContain('within 0.05 s');
  });

  it('the caller gives up', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const url = await serve(() => controller.abort(reason));
    await expect(readRemoteHeader(url, { signal: controller.signal })).rejects.toBe(reason);
  });
});
