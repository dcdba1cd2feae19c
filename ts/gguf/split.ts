import { basename, dirname, join } from 'node:path';
import { TilewrightError } from '../errors.ts';
import { MAX_TENSOR_COUNT } from './limits.ts';
import type { ParsedPart } from './part.ts';
import { type GGUFErrorCode, ggufError, quote } from './report.ts';

/** Parts of a split model are named `<prefix>-00001-of-00003.gguf`. */
const PART_NAME = /^(?<prefix>.*)-(?<number>\d{5})-of-(?<count>\d{5})\.gguf$/s;

/** Name of part `index` (from 0) of `count`. */
export function splitPartName(prefix: string, index: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return `${prefix}-${digits(index + 1)}-of-${digits(count)}.gguf`;
}

/**
 * Reads the other parts of the model that `opened` belongs to, next to it, and checks that they belong together.
 * @returns all parts in order; only `opened` itself if the model is not split.
 */
export async function readSiblings(
  opened: ParsedPart,
  read: (path: string) => Promise<ParsedPart>,
): Promise<readonly ParsedPart[]> {
  const split = splitOf(opened);
  if (split.count <= 1) return [opened];

  const path = opened.part.path;
  const name = PART_NAME.exec(basename(path))?.groups;
  if (!name || Number(name.count) !== split.count || Number(name.number) !== split.index + 1) {
    const expected = splitPartName(name?.prefix ?? 'name', split.index, split.count);
    throw splitError(
      'ERR_GGUF_INVALID',
      path,
      `this is part ${split.index + 1} of ${split.count}, so it must be named like ${quote(expected)} for the others to be found`,
    );
  }

  const parts: ParsedPart[] = [];
  const names = new Set<string>();
  for (let i = 0; i < split.count; i++) {
    const part = i === split.index ? opened : await readSibling(path, name.prefix!, i, split.count, read);
    checkMember(part, i, split);
    for (const tensor of part.tensors) {
      if (names.has(tensor.name)) {
        throw splitError('ERR_GGUF_INVALID', part.part.path, `the tensor ${quote(tensor.name)} is in two parts`);
      }
      names.add(tensor.name);
    }
    if (names.size > MAX_TENSOR_COUNT) {
      const problem = `the parts have more tensors than the ${MAX_TENSOR_COUNT} that are accepted`;
      throw splitError('ERR_GGUF_LIMIT', part.part.path, problem);
    }
    parts.push(part);
  }
  if (split.tensors !== undefined && names.size !== split.tensors) {
    const problem = `the parts have ${names.size} tensors together, but "split.tensors.count" says ${split.tensors}`;
    throw splitError('ERR_GGUF_INVALID', path, problem);
  }
  return parts;
}

interface Split {
  readonly index: number;
  readonly count: number;
  /** In all parts together, where the file says so. */
  readonly tensors: number | undefined;
}

function splitOf({ part, metadata }: ParsedPart): Split {
  const number = (key: string): number | undefined => {
    const value = metadata[key];
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw splitError('ERR_GGUF_INVALID', part.path, `"${key}" must be a whole number`);
  };
  const count = number('split.count') ?? 0;
  const index = number('split.no');
  if (count > 1 && (index === undefined || index >= count)) {
    const problem = `"split.no" must be 0 to ${count - 1}, but it is ${index ?? 'missing'}`;
    throw splitError('ERR_GGUF_INVALID', part.path, problem);
  }
  return { index: index ?? 0, count, tensors: number('split.tensors.count') };
}

async function readSibling(
  path: string,
  prefix: string,
  index: number,
  count: number,
  read: (path: string) => Promise<ParsedPart>,
): Promise<ParsedPart> {
  const sibling = join(dirname(path), splitPartName(prefix, index, count));
  try {
    return await read(sibling);
  } catch (error) {
    if (!(error instanceof TilewrightError) || error.code !== 'ERR_FILE') throw error;
    const message = `${error.message}. ${path} is one of ${count} parts of a model; all of them must lie in one folder.`;
    throw new TilewrightError('ERR_FILE', message, { cause: error, details: { file: sibling, needed: count } });
  }
}

function checkMember(part: ParsedPart, index: number, expected: Split): void {
  const actual = splitOf(part);
  const differs =
    actual.index !== index
      ? `"split.no" is ${actual.index}, not ${index}`
      : actual.count !== expected.count
        ? `"split.count" is ${actual.count}, not ${expected.count}`
        : actual.tensors !== expected.tensors
          ? `"split.tensors.count" is ${actual.tensors ?? 'missing'}, not ${expected.tensors ?? 'missing'}`
          : undefined;
  if (differs) {
    throw splitError('ERR_GGUF_INVALID', part.part.path, `it does not belong with the other parts: ${differs}`);
  }
}

function splitError(code: GGUFErrorCode, file: string, problem: string): TilewrightError {
  return ggufError(code, { file, offset: 0, reading: 'the parts of a split model' }, problem);
}
