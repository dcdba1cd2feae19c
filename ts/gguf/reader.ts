import { GGUFFile } from './file.ts';
import { type ParsedPart, readPart } from './part.ts';
import { openFile } from './source.ts';
import { readSiblings } from './split.ts';

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /**
   * Whether to open the other parts of a split model too. Defaults to true; without them, only the tensors of the part
   * at `path` are known.
   */
  readonly siblings?: boolean;
}

/**
 * Reads the header of a GGUF file, or of all parts of a split model when given any one of them, and checks all of it.
 * Tensor data is not read.
 *
 * @throws ERR_FILE if a file cannot be opened or read.
 * @throws ERR_GGUF_TRUNCATED if a file ends before what its header speaks of.
 * @throws ERR_GGUF_INVALID if the header contradicts the format or itself.
 * @throws ERR_GGUF_UNSUPPORTED for versions and byte orders that are not read.
 * @throws ERR_GGUF_LIMIT if the header asks for more than is accepted from a file.
 */
export async function readGGUFHeader(path: string, options: ReadOptions = {}): Promise<GGUFFile> {
  const { signal, siblings = true } = options;
  const read = async (file: string): Promise<ParsedPart> => {
    await using source = await openFile(file);
    return await readPart(source, signal);
  };
  const part = await read(path);
  return new GGUFFile(siblings ? await readSiblings(part, read) : [part]);
}
