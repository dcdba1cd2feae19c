import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TilewrightError } from '../errors.ts';

/** Bytes of known number that a header is read from: a file, memory, or a server. */
export interface ByteSource {
  /** Path or URL, for messages. */
  readonly name: string;
  readonly size: number;
  /** Reads up to `target.length` bytes from `position`; returns how many there were, 0 only at the end. */
  read(target: Uint8Array, position: number): Promise<number>;
}

export interface FileSource extends ByteSource, AsyncDisposable {}

/** @throws ERR_FILE if the path cannot be opened or is not a regular file. */
export async function openFile(path: string): Promise<FileSource> {
  let handle: FileHandle | undefined;
  try {
    // Not blocking: opening a named pipe would otherwise wait for its writer.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error(stats.isDirectory() ? 'it is a directory' : 'it is not a regular file');
    return new OpenFile(path, stats.size, handle);
  } catch (cause) {
    await handle?.close();
    throw fileError('open', path, cause);
  }
}

/** Bytes in memory; `size` above their number makes the rest zeros that nothing should have to read. */
export function memorySource(name: string, bytes: Uint8Array, size = bytes.length): ByteSource {
  return {
    name,
    size,
    async read(target, position) {
      const count = Math.min(target.length, Math.max(0, size - position));
      const part = bytes.subarray(Math.min(position, bytes.length), Math.min(position + count, bytes.length));
      target.set(part);
      target.fill(0, part.length, count);
      return count;
    },
  };
}

export function fileError(action: string, path: string, cause: unknown): TilewrightError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new TilewrightError('ERR_FILE', `Cannot ${action} ${path}: ${why}`, { cause, details: { file: path } });
}

class OpenFile implements FileSource {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(target, 0, target.length, position);
      return bytesRead;
    } catch (cause) {
      throw fileError('read', this.name, cause);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
